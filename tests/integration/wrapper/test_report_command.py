"""`safety-wrapper report` as a shell script calls it: words, exit codes, and reports that count once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.daemon import Wrapper
from wrapper.local_api import LocalApi
from wrapper.reports_api import ReportsApi

CLI = str(Path(sys.executable).parent / "safety-wrapper")


class Shell:
    """Where a script runs, on the server of a wrapper."""

    def __init__(self, address: str, wrapper: Wrapper) -> None:
        self.address = address
        self.wrapper = wrapper

    async def report(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "SAFETY_WRAPPER_LISTEN": self.address}
        with trio.fail_after(120):
            return await trio.run_process(
                [CLI, "report", *words], capture_stdout=True, capture_stderr=True, check=False, env=environment
            )

    async def told(self, *words: str) -> str:
        done = await self.report(*words)
        assert (done.returncode, done.stderr.decode()) == (0, "")
        return done.stdout.decode().strip()

    async def refused(self, *words: str, code: int = 1) -> str:
        done = await self.report(*words)
        assert (done.returncode, done.stdout.decode()) == (code, "")
        return done.stderr.decode()


@pytest.fixture
async def shell(open_wrapper: OpenWrapper, nursery: trio.Nursery) -> AsyncIterator[Shell]:
    async with open_wrapper() as wrapper:
        api = LocalApi()
        ReportsApi(lambda: wrapper).add_to(api)
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        yield Shell(f"127.0.0.1:{port}", wrapper)


async def test_a_backup_script_tells_how_it_went(hub: HubPeer, shell: Shell) -> None:
    assert await shell.told("backup", "success", "--size-bytes", "4200000000", "--detail", "nightly; $HOME") == "Told."
    frame = await hub.message("backupStatus")
    assert (frame["status"], frame["sizeBytes"], frame["detail"]) == ("success", 4_200_000_000, "nightly; $HOME")
    assert frame["finishedAt"] is not None


async def test_activity_and_usage_are_told(hub: HubPeer, shell: Shell) -> None:
    data = json.dumps({"mails": 3})
    await shell.told("activity", "Answered 3 mails", "--agent", "secretary", "--kind", "mail.answered", "--data", data)
    frame = await hub.message("activity")
    assert (frame["agentId"], frame["kind"], frame["summary"]) == ("secretary", "mail.answered", "Answered 3 mails")
    assert frame["data"] == {"mails": 3}
    usage = ("usage", "--agent", "sales", "--model", "m", "--tokens-input", "5", "--cost-cents", "0.6")
    for _ in range(2):
        assert await shell.told(*usage) == "Told."
    assert await shell.told(*usage, "--id", "one") == "Told."
    assert await shell.told(*usage, "--id", "one") == "Told already."
    await shell.wrapper.reports.tell()
    [bucket] = (await hub.message("usage"))["buckets"]
    assert (bucket["tokensInput"], bucket["costCents"]) == (15, 2)


async def test_every_bad_field_is_named(shell: Shell) -> None:
    words = await shell.refused("activity", "", "--agent", "a" * 300, "--at", "yesterday")
    assert all(field in words for field in ("agentId:", "summary:", "at:"))
    assert "not JSON" in await shell.refused("activity", "x", "--agent", "a", "--data", "{", code=2)
    assert "on this machine" in await shell.refused("backup", "failed", "--address", "192.0.2.1:80", code=2)


async def test_without_a_wrapper_nothing_was_kept(shell: Shell) -> None:
    shell.address = "127.0.0.1:9"
    assert "no Safety Wrapper answers at 127.0.0.1:9" in await shell.refused("backup", "failed")
