"""The walk at the tenants: one wrapper that knows HTTP only, and a real one with its port (sections 4.5, 6, 8.3)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.contract.examples import example
from tests.end_to_end.contract.walk import Step, Walk
from tests.end_to_end.hub_process import until

CLI = Path(sys.executable).with_name("safety-wrapper")
DIUN_TOKEN = "a token that Diun was given"
TALKS = """#!/bin/sh
case "$(cat)" in
  *'"kind":"conversation"'*) echo '{"messages": [{"role": "user", "text": "Please pay invoice 7"}]}' ;;
  *) echo '{"conversations": [{"id": "main", "title": "Invoices", "messageCount": 1}], "nextCursor": null}' ;;
esac
"""


async def token_for(walk: Walk, order: str) -> str:
    answer = await walk.caller("staff").post(f"/api/v1/admin/orders/{walk.ids[order]}/registration-token")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["registrationToken"])


async def register(walk: Walk) -> None:
    known = {"registrationToken": await token_for(walk, "second"), "safetyWrapperUrl": "https://second.letsbe.example"}
    body = example("3.3_registration") | known
    made = await walk.do("POST /api/v1/tenant/register", "nobody", json=body)
    walk.caller("tenant", made["hubApiKey"])


async def servers(walk: Walk) -> None:
    listed = await walk.do("GET /api/v1/admin/servers", "staff")
    [walk.ids["server"]] = [one["id"] for one in listed if one["orderId"] == walk.ids["second"]]
    path = "/api/v1/admin/servers/{server}"
    await walk.do(f"GET /api/v1/admin/servers/{{id}}/health | {path}/health", "staff")
    body = {"type": "RESTART_SERVICE", "payload": {"service": "ghost"}}
    await walk.do(f"POST /api/v1/admin/servers/{{id}}/command | {path}/command", "staff", json=body)


async def ask(walk: Walk) -> None:
    wish = {
        name: example("4.9_approval")[name]
        for name in ("agentId", "commandClass", "toolName", "toolArgs", "humanReadable")
    }
    for _ in range(4):
        asked = await walk.do("POST /api/v1/tenant/approval-request", "tenant", json=wish)
    # The last one is decided at once, so that the next heartbeat tells of it.
    walk.ids["asked"] = asked["id"]
    decided = await walk.caller("staff").post(f"/api/v1/admin/approvals/{asked['id']}", json={"action": "approve"})
    assert decided.status_code == 200, decided.text
    row = "GET /api/v1/tenant/approval-response/{id} | /api/v1/tenant/approval-response/{asked}"
    assert (await walk.do(row, "tenant"))["action"] == "approve"


async def heartbeat(walk: Walk) -> None:
    await walk.do("POST /api/v1/tenant/heartbeat", "tenant", json=example("6_heartbeat"))


async def configuration(walk: Walk) -> None:
    assert (await walk.do("GET /api/v1/tenant/config", "tenant"))["configVersion"] >= 1


async def report_usage(walk: Walk) -> None:
    await walk.do("POST /api/v1/tenant/usage", "tenant", json={"buckets": [example("4.10_usage_bucket")]})


async def report_usage_to_billing(walk: Walk) -> None:
    body = {"buckets": [example("4.10_usage_bucket")]}
    await walk.do("POST /api/v1/admin/billing/usage", "tenant", json=body)


async def report_backup(walk: Walk) -> None:
    body = {"status": "success", "sizeBytes": 4_200_000_000}
    await walk.do("POST /api/v1/tenant/backup-status", "tenant", json=body)


class Server:
    """A tenant's server with the real wrapper on it."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._master = Fernet.generate_key()
        self._state = walk.folder / "wrapper"
        self.log = walk.folder / "wrapper.log"

    @contextmanager
    def running(self, token: str) -> Iterator[None]:
        """The wrapper, which answers for conversations by a program; killed at the end."""
        talks = self._walk.folder / "talks"
        talks.write_text(TALKS)
        talks.chmod(talks.stat().st_mode | stat.S_IXUSR)
        diun = self._walk.folder / "diun"
        diun.write_text(DIUN_TOKEN)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAFETY_WRAPPER")}
        given = {"SAFETY_WRAPPER_REGISTRATION_TOKEN": token, "SAFETY_WRAPPER_MASTER_KEY": self._master.decode()}
        words = ["--hub", self._walk.hub.url, "--state", str(self._state), "--listen", "127.0.0.1:0"]
        answers = [word for kind in ("conversations", "conversation") for word in ("--answer", f"{kind}={talks}")]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [CLI, "run", *words, *answers, "--diun-token-file", str(diun)],
                stdout=log,
                stderr=log,
                env={**kept, **given},
            )
        try:
            yield
        finally:
            process.kill()
            process.wait(timeout=20)

    async def ready(self) -> str:
        """Its address, once it is connected."""
        await until(lambda: "link.welcomed" in self.log.read_text(), what="the wrapper's welcome")
        [port] = set(re.findall(r"local_api\.listening.*port=(\d+)", self.log.read_text()))
        return f"http://127.0.0.1:{port}"

    @property
    def key(self) -> str:
        """Its hub API key, as it lies on its disk."""
        sealed = (self._state / "hub-key.sealed").read_bytes()
        return str(json.loads(Fernet(self._master).decrypt(sealed))["key"])


def signed(event: str, body: bytes, key: str) -> dict[str, str]:
    """A webhook's headers, by hand."""
    stamp, delivery = str(int(time.time())), f"dlv_{uuid.uuid4().hex}"

    def signature(data: bytes) -> str:
        return hmac.new(key.encode(), data, hashlib.sha256).hexdigest()

    return {
        "X-LetsBe-Signature": signature(body),
        "X-LetsBe-Timestamp": stamp,
        "X-LetsBe-Event": event,
        "X-LetsBe-Id": delivery,
        "X-LetsBe-Signature-V2": signature(f"{delivery}.{stamp}.".encode() + body),
    }


def wrapper_steps(server: Server) -> list[Step]:
    """The wrapper's own port, called as the Hub and its machine's programs call it."""

    async def health(walk: Walk) -> None:
        walk.caller("wrapper", base=await server.ready())
        await walk.do("GET /health", "wrapper")

    async def push(walk: Walk, event: str, body: Any) -> None:
        raw = json.dumps(body).encode()
        row = f"POST /webhooks/{event}"
        await walk.refused(row, "wrapper", content=raw, headers=signed(event, raw, "hk_another"))
        await walk.do(row, "wrapper", content=raw, headers=signed(event, raw, server.key))

    async def webhook_command(walk: Walk) -> None:
        await push(walk, "command", example("8.2_command"))

    async def webhook_approval_response(walk: Walk) -> None:
        """With a number of the Hub's, far ahead: no request here waits for the example's approval."""
        place = {"seq": 1_000_000, "requestId": str(uuid.uuid4()), "argsHash": "0" * 64}
        body = example("8.2_approval_response") | place | {"settledAt": "2026-03-15T14:30:00Z"}
        await push(walk, "approval-response", body)

    async def webhook_config_update(walk: Walk) -> None:
        await push(walk, "config-update", example("8.2_config_updated"))

    async def webhook_diun(walk: Walk) -> None:
        body = {
            "diun_version": "4.28.0",
            "status": "update",
            "image": "docker.io/library/ghost:5",
            "digest": "sha256:1",
        }
        headers = {"Authorization": f"Bearer {DIUN_TOKEN}"}
        await walk.do("POST /webhooks/diun", "wrapper", json=body, headers=headers)

    return [health, webhook_command, webhook_config_update, webhook_diun, webhook_approval_response]


STEPS: list[Step] = [
    register,
    servers,
    ask,
    heartbeat,
    configuration,
    report_usage,
    report_usage_to_billing,
    report_backup,
]
