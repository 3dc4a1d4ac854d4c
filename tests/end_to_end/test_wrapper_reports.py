"""The real wrapper at a real Hub: what its server's programs report arrives, and what is asked live is answered."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.ids import parse_id
from tests.end_to_end.hub_process import until
from tests.end_to_end.world import World

CLI = Path(sys.executable).with_name("safety-wrapper")
TALKS = """#!/bin/sh
question=$(cat)
case "$question" in
  *'"conversationId":"gone"'*) echo "it was deleted" >&2; exit 66 ;;
  *'"kind":"conversation"'*) echo '{"messages": [{"role": "user", "text": "Please pay <b>invoice 7</b>"}]}' ;;
  *) echo '{"conversations": [{"id": "main", "title": "Invoices", "messageCount": 1}], "nextCursor": "2"}' ;;
esac
"""


class Server:
    """A tenant's server: its wrapper, and a shell."""

    def __init__(self, world: World, token: str, folder: Path) -> None:
        self._hub = world.hub
        self._token = token
        self._folder = folder
        self.log = folder / "wrapper.log"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFETY_WRAPPER")}

    @contextmanager
    def running(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Its wrapper; killed at the end."""
        self.log.write_text("")
        words = ["--hub", self._hub.url, "--state", str(self._folder / "state"), "--listen", "127.0.0.1:0", *more]
        given = {"SAFETY_WRAPPER_REGISTRATION_TOKEN": self._token}
        with self.log.open("ab") as log:
            process = subprocess.Popen([CLI, "run", *words], stdout=log, stderr=log, env={**self._environment, **given})
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=20)

    async def connected(self) -> None:
        await until(lambda: "link.welcomed" in self.log.read_text(), what="the wrapper's welcome")

    async def report(self, *words: str) -> str:
        await until(lambda: "wrapper.started" in self.log.read_text(), what="the wrapper's start")
        [port] = re.findall(r"local_api\.listening.*port=(\d+)", self.log.read_text())
        command = [str(CLI), "report", *words, "--address", f"127.0.0.1:{port}"]
        with trio.fail_after(120):
            done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, env=self._environment)
        return done.stdout.decode().strip()


@pytest.fixture
async def order(world: World) -> str:
    order_id = await world.order()
    await world.staff.ok("POST", f"/api/v1/admin/orders/{order_id}/agents", {"role": "secretary"})
    return order_id


@pytest.fixture
async def server(world: World, order: str, tmp_path: Path) -> Server:
    return Server(world, await world.registration_token(order), tmp_path)


def rows(world: World, order: str, table: str, columns: str) -> list[tuple[Any, ...]]:
    return world.hub.sql(f"SELECT {columns} FROM {table} WHERE order_id = $1", parse_id("ord", order))


@pytest.mark.slow
async def test_what_programs_report_reaches_the_hubs_books(world: World, order: str, server: Server) -> None:
    usage = ("usage", "--agent", "secretary", "--model", "deepseek/deepseek-v3.2", "--tokens-input", "700")
    with server.running():
        await server.connected()
        assert await server.report("backup", "success", "--size-bytes", "4200000000", "--detail", "nightly") == "Told."
        words = ("activity", "Answered 3 mails", "--agent", "secretary", "--kind", "mail.answered")
        assert await server.report(*words, "--id", "a-1") == "Told."
        assert await server.report(*words, "--id", "a-1") == "Told already."
        assert await server.report(*usage) == "Told."
        await until(lambda: rows(world, order, "backup_reports", "status"), what="the backup at the Hub")
        await until(lambda: rows(world, order, "activities", "summary"), what="the activity at the Hub")
    with server.running():  # it was killed: what it had said it keeps, it has kept
        await server.connected()
        await until(lambda: rows(world, order, "token_usage_buckets", "tokens_input"), what="the usage at the Hub")
    with server.running():
        await server.report(*usage)
    with server.running():
        await until(
            lambda: rows(world, order, "token_usage_buckets", "sum(tokens_input)") == [(1400,)],
            what="the hour's growth",
        )
    assert rows(world, order, "backup_reports", "status, size_bytes, detail") == [("success", 4_200_000_000, "nightly")]
    assert rows(world, order, "activities", "agent_id, kind, summary") == [
        ("secretary", "mail.answered", "Answered 3 mails")
    ]


@pytest.mark.slow
async def test_a_customer_reads_conversations_where_they_are_kept(
    world: World, order: str, server: Server, tmp_path: Path
) -> None:
    [agent] = [
        one for one in await world.customer.ok("GET", "/api/v1/customer/agents?pageSize=100") if one["orderId"] == order
    ]
    url = f"/api/v1/customer/agents/{agent['id']}/conversations"
    status, code, _ = await world.customer.refused("GET", url)
    assert (status, code) == (503, "TENANT_OFFLINE")
    with server.running():
        await server.connected()
        status, code, error = await world.customer.refused("GET", url)
        assert (status, code) == (409, "CONFLICT")
        assert "--answer conversations=PROGRAM" in error["message"]
    talks = tmp_path / "talks"
    talks.write_text(TALKS)
    talks.chmod(talks.stat().st_mode | stat.S_IXUSR)
    answers = [word for kind in ("conversations", "conversation") for word in ("--answer", f"{kind}={talks}")]
    with server.running(*answers):
        await server.connected()
        answer = await world.customer.call("GET", url)
        assert [one["title"] for one in answer.json()["data"]] == ["Invoices"]
        assert answer.json()["meta"] == {"limit": 25, "nextCursor": "2"}
        [message] = await world.customer.ok("GET", f"{url}/main")
        assert (message["role"], message["text"]) == ("user", "Please pay <b>invoice 7</b>")
        status, code, error = await world.customer.refused("GET", f"{url}/gone")
        assert (status, code, "it was deleted" in error["message"]) == (404, "NOT_FOUND", True)
        assert (await world.stranger.refused("GET", url))[:2] == (404, "NOT_FOUND")
    await until(lambda: offline(world, url), what="the Hub's notice that the server is gone")
    assert "invoice 7" not in world.hub.log.read_text()


async def offline(world: World, url: str) -> bool:
    return (await world.customer.call("GET", url)).status_code == 503
