"""The walk on ways of our own: what the Hub offers besides the specification, each called with success."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pyotp

from tests.contract.examples import example
from tests.end_to_end.contract.people_steps import letters
from tests.end_to_end.contract.walk import PASSWORD, Step, Walk
from tests.end_to_end.hub_process import until

ANOTHER = "another passphrase, and a long one"
TESS = "tess@letsbe.biz"
TOM = "tom@lost.example"


async def mailed(walk: Walk, to: str, found: Callable[[str], bool]) -> str:
    """The token in the newest mail to somebody whose text is as wanted."""

    def texts() -> list[str]:
        bodies = [letter.get_body(("plain",)) for letter in letters(walk, to)]
        return [text for body in bodies if body is not None and found(text := body.get_content())]

    await until(lambda: bool(texts()), what=f"a mail to {to}")
    [token] = set(re.findall(r"#([A-Za-z0-9_-]{20,})", texts()[-1]))
    return token


async def signed_in(walk: Walk, name: str, provider: str, email: str, password: str) -> None:
    """Somebody by name, signed in."""
    answer = await walk.sign_in(provider, email, password)
    assert answer.status_code == 200, answer.text
    token = next(cookie.value for cookie in answer.cookies.jar if "session-token" in cookie.name)
    walk.caller(name, token)


async def invitations(walk: Walk) -> None:
    """Sent again, one taken back, one accepted."""
    path = "/api/v1/admin/staff/invitations"
    for name, email in (("gone", "gone@letsbe.biz"), ("tess", TESS)):
        made = await walk.also("POST /api/v1/admin/staff/invite", "staff", json={"email": email, "role": "MANAGER"})
        walk.ids[name] = made["id"]
    await walk.also(f"DELETE {path}/{{invitationId}} | {path}/{{gone}}", "staff")
    await mailed(walk, TESS, bool)
    before = len(letters(walk, TESS))
    await walk.also(f"POST {path}/{{invitationId}}/resend | {path}/{{tess}}/resend", "staff")
    await until(lambda: len(letters(walk, TESS)) > before, what="the invitation's second mail")
    token = await mailed(walk, TESS, bool)
    accepted = {"token": token, "name": "Tess", "password": PASSWORD}
    walk.ids["tess"] = (await walk.also("POST /api/v1/auth/accept-invite", "nobody", json=accepted))["id"]


async def passwords(walk: Walk) -> None:
    """Changed, forgotten and chosen anew."""
    await signed_in(walk, "tess", "credentials", TESS, PASSWORD)
    body = {"currentPassword": PASSWORD, "newPassword": ANOTHER}
    await walk.also("POST /api/v1/auth/password", "tess", json=body)
    await walk.also("POST /api/v1/auth/password/forgot", "nobody", json={"email": TESS, "userType": "staff"})
    token = await mailed(walk, TESS, lambda text: "invit" not in text and "#" in text)
    await walk.also("POST /api/v1/auth/password/reset", "nobody", json={"token": token, "password": PASSWORD})


async def sessions(walk: Walk) -> None:
    for name in ("tess at home", "tess at work"):
        await signed_in(walk, name, "credentials", TESS, PASSWORD)
    listed = await walk.also("GET /api/v1/auth/sessions", "tess at home")
    walk.ids["session"] = next(one["id"] for one in listed if not one["current"])
    path = "/api/v1/auth/sessions"
    assert await walk.also(f"DELETE {path}/{{sessionId}} | {path}/{{session}}", "tess at home") == {"sessionsEnded": 1}


async def lost_factors(walk: Walk) -> None:
    """Of a member of staff and of a customer: turned on by them, taken off by an owner."""
    body = {"email": TOM, "name": "Tom", "company": "Lost", "password": PASSWORD}
    walk.ids["tom"] = (await walk.also("POST /api/v1/admin/customers", "staff", json=body))["id"]
    await signed_in(walk, "tom", "customer", TOM, PASSWORD)
    for name in ("tess at home", "tom"):
        enrolment = await walk.also("POST /api/v1/auth/2fa/setup", name)
        code = pyotp.TOTP(enrolment["secret"]).now()
        former = (await walk.also("POST /api/v1/auth/2fa/verify", name, json={"code": code}))["backupCodes"]
        fresh = await walk.also("POST /api/v1/auth/2fa/backup-codes", name, json={"password": PASSWORD})
        assert len(fresh["codes"]) == fresh["remaining"] == len(former)
        assert not set(fresh["codes"]) & set(former)
    for kind, name in (("staff", "tess"), ("customers", "tom")):
        path = f"/api/v1/admin/{kind}"
        await walk.also(f"DELETE {path}/{{id}}/two-factor | {path}/{{{name}}}/two-factor", "staff")


async def photo(walk: Walk) -> None:
    walk.ids["photo"] = (await walk.also("GET /api/v1/profile", "staff"))["image"]
    answer = await walk.called("GET /api/v1/profile/photos/{name} | {photo}", "staff")
    assert answer.headers["content-type"].startswith("image/")


async def api_keys(walk: Walk) -> None:
    path = "/api/v1/admin/api-keys"
    walk.ids["key"] = (await walk.also(f"POST {path}", "staff", json={"name": "Short"}))["id"]
    await walk.also(f"DELETE {path}/{{apiKeyId}} | {path}/{{key}}", "staff")


async def registration_token(walk: Walk) -> None:
    path = "/api/v1/admin/orders"
    made = await walk.also(f"POST {path}/{{id}}/registration-token | {path}/{{order}}/registration-token", "staff")
    assert made["registrationToken"]


async def commands(walk: Walk) -> None:
    """One is answered, one is called back before it was sent."""
    path = "/api/v1/admin/servers"
    for name in ("answered", "cancelled"):
        body = {"type": "RESTART_SERVICE", "payload": {"service": "ghost"}}
        made = await walk.also(f"POST {path}/{{id}}/command | {path}/{{server}}/command", "staff", json=body)
        walk.ids[name] = made["id"]
    one = f"{path}/{{serverId}}/commands/{{commandId}}"
    await walk.also(f"POST {one}/cancel | {path}/{{server}}/commands/{{cancelled}}/cancel", "staff")
    # It takes what it was sent with its next heartbeat.
    await walk.also("POST /api/v1/tenant/heartbeat", "tenant", json=example("6_heartbeat"))
    row = "POST /api/v1/tenant/commands/{commandId}/result | /api/v1/tenant/commands/{answered}/result"
    await walk.also(row, "tenant", json={"status": "succeeded", "output": "done"})
    shown = await walk.also(f"GET {one} | {path}/{{server}}/commands/{{answered}}", "staff")
    assert shown["status"] == "SUCCEEDED"
    listed = await walk.also(f"GET {path}/{{id}}/commands | {path}/{{server}}/commands", "staff")
    assert {walk.ids["answered"], walk.ids["cancelled"]} <= {command["id"] for command in listed}


async def outcome(walk: Walk) -> None:
    body = {"id": str(uuid.uuid4()), "approvalId": walk.ids["asked"], "outcome": "executed"}
    assert (await walk.also("POST /api/v1/tenant/approval-outcome", "tenant", json=body))["accepted"] is True


async def reports(walk: Walk) -> None:
    """What a socket carries, by a wrapper that has none."""
    path, known = "/api/v1/tenant", {"id": str(uuid.uuid4())}
    offered = await walk.also(f"GET {path}/config", "tenant")
    taken = {name: offered[name] for name in ("configVersion", "configHash")}
    await walk.also(f"POST {path}/config-applied", "tenant", json=known | taken | {"ok": True})
    did = {"agentId": "it-admin", "at": "2026-03-15T10:00:00Z", "summary": "Looked at the disk"}
    await walk.also(f"POST {path}/activity", "tenant", json=did | {"id": str(uuid.uuid4()), "kind": "tool"})
    newer = {"id": str(uuid.uuid4()), "image": "docker.io/library/ghost:5", "status": "update"}
    await walk.also(f"POST {path}/image-update", "tenant", json=newer)


async def orders(walk: Walk) -> None:
    path = "/api/v1/admin/orders"
    assert await walk.also(f"GET {path}/{{id}}/events | {path}/{{order}}/events", "staff")
    agent = await walk.also(f"GET {path}/{{id}}/agents/{{agentId}} | {path}/{{order}}/agents/it-admin", "staff")
    assert agent["agentId"] == "it-admin"
    row = f"GET {path}/{{id}}/agents/{{agentId}}/tools | {path}/{{order}}/agents/it-admin/tools"
    classes = {one["name"]: one["commandClass"] for one in await walk.also(row, "staff")}
    assert classes["volume_remove"] == "critical_red"
    own = "GET /api/v1/customer/agents/{id}/tools | /api/v1/customer/agents/{agent}/tools"
    assert {one["name"]: one["commandClass"] for one in await walk.also(own, "maria")} == classes


async def sign_in(walk: Walk) -> None:
    answer = await walk.sign_in("customer", "maria@acme.example")
    assert answer.status_code == 200, answer.text
    walk.besides.add("POST /api/auth/callback/{provider}")


async def webhooks(walk: Walk) -> None:
    path = "/api/v1/admin/servers"
    row = f"POST {path}/{{id}}/webhooks/enable | {path}/{{server}}/webhooks/enable"
    shown: Any = await walk.also(row, "staff")
    assert shown["serverId"] == walk.ids["server"]


async def conversation(walk: Walk) -> None:
    path = "/api/v1/customer/agents"
    row = f"GET {path}/{{id}}/conversations/{{conversationId}} | {path}/{{agent}}/conversations/main"
    assert [one["text"] for one in await walk.also(row, "maria")] == ["Please pay invoice 7"]


async def audit(walk: Walk) -> None:
    path = "/api/v1/admin/audit"
    listed = await walk.also(f"GET {path}", "staff", params={"orderId": walk.ids["order"]})
    assert {entry["orderId"] for entry in listed} == {walk.ids["order"]}
    answer = await walk.called(f"GET {path}/export", "staff", params={"orderId": walk.ids["order"], "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(answer.text.splitlines()) >= 1 + len(listed)


STEPS: list[Step] = [
    invitations,
    passwords,
    sessions,
    lost_factors,
    photo,
    api_keys,
    registration_token,
    commands,
    outcome,
    reports,
    orders,
    sign_in,
    webhooks,
    audit,
]
#: Of a server with a real wrapper.
WITH_A_WRAPPER: list[Step] = [conversation]
