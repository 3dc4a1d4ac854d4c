"""`safety-wrapper gate` and `outcome` by hand, against a wrapper process: words, exit codes, and kill -9 in between."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import trio

from tests.integration.wrapper.hub_peer import TOKEN, HubPeer
from tests.integration.wrapper.test_wrapper_approvals import configuration, offer

CLI = Path(sys.executable).parent / "safety-wrapper"


class Process:
    """A wrapper process and where its port is."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    async def address(self) -> str:
        with trio.fail_after(30):
            while True:
                ports = re.findall(r"local_api\.listening.*port=(\d+)", self._log.read_text())
                if ports:
                    return f"127.0.0.1:{ports[-1]}"
                await trio.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Start = Callable[[], AbstractContextManager[Process]]


@pytest.fixture
def start(hub: HubPeer, tmp_path: Path) -> Start:
    lives = iter(range(100))

    @contextmanager
    def started() -> Iterator[Process]:
        path = tmp_path / f"log-{next(lives)}"
        command = [CLI, "run", "--hub", hub.url, "--state", tmp_path / "state", "--listen", "127.0.0.1:0"]
        with path.open("ab") as log:
            running = subprocess.Popen([*command, "--registration-token", TOKEN], stdout=log, stderr=log)
        process = Process(running, path)
        try:
            yield process
        finally:
            process.kill()

    return started


class Command:
    """One run of the command line."""

    def __init__(self, nursery: trio.Nursery, *words: str) -> None:
        self.code = -1
        self.out = self.error = ""
        self._ended = trio.Event()
        nursery.start_soon(self._run, words)

    async def _run(self, words: tuple[str, ...]) -> None:
        done = await trio.run_process([str(CLI), *words], capture_stdout=True, capture_stderr=True, check=False)
        self.code, self.out, self.error = done.returncode, done.stdout.decode(), done.stderr.decode()
        self._ended.set()

    async def ended(self) -> Command:
        with trio.fail_after(60):
            await self._ended.wait()
        return self


async def test_it_says_what_was_decided_and_why(hub: HubPeer, start: Start, nursery: trio.Nursery):
    await offer(hub, configuration(7))
    with start() as process:
        at = ["--address", await process.address(), "--agent", "it-admin"]
        await hub.message("configApplied")
        read = await Command(nursery, "gate", "file_read", '{"path": "/etc/hosts"}', *at).ended()
        assert (read.code, read.error) == (0, "")
        assert read.out.startswith("Allowed: file_read is green, which runs at autonomy level 2.\n")
        drop = await Command(nursery, "gate", "db_drop", *at).ended()
        assert (drop.code, drop.out.splitlines()[0]) == (1, "Denied: db_drop is denied to agent it-admin.")
        waits = await Command(nursery, "gate", "file_delete", "{}", *at, "--wait", "0").ended()
        assert (waits.code, waits.out.startswith("Not decided yet: ")) == (1, True)
        asking = Command(nursery, "gate", "shell", '{"n": 1}', *at, "--say", "It wants\x1b[2J to", "--impact", "all")
        request = await hub.message("approvalRequest", 2)
        assert (request["humanReadable"], request["impact"]) == ("It wants\x1b[2J to", "all")
        await hub.settle(request, "approve", reason="fine\x1b[2J")
        allowed = await asking.ended()
        assert allowed.code == 0
        assert allowed.out.startswith("Allowed: approved by Maria: fine\N{REPLACEMENT CHARACTER}[2J.\n")
        (request_id,) = re.findall(r"safety-wrapper outcome (\S+) executed", allowed.out)
        told = await Command(nursery, "outcome", request_id, "executed", "--detail", "yes", *at[:2]).ended()
        assert (told.code, told.out) == (0, "Told: executed.\n")
        assert (await hub.message("approvalOutcome"))["detail"] == "yes"
        other = await Command(nursery, "outcome", request_id, "failed", *at[:2]).ended()
        assert (other.code, "told as executed already" in other.error) == (2, True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["gate", "x", "{nonsense", "--agent", "a"], "the arguments are not JSON"),
        (["gate", "x", "{}"], "Missing option '--agent'"),
        (["gate", "x", "{}", "--agent", "a", "--address", "192.0.2.1:80"], "must be HOST:PORT on this machine"),
        (["gate", "x", "{}", "--agent", "a", "--address", "127.0.0.1:9"], "no Safety Wrapper answers at 127.0.0.1:9"),
        (["outcome", "x", "executed", "--listen", "127.0.0.1:9"], "no Safety Wrapper answers at 127.0.0.1:9"),
    ],
)
async def test_what_cannot_be_asked_is_neither_yes_nor_no(nursery: trio.Nursery, words: list[str], problem: str):
    command = await Command(nursery, *words).ended()
    assert command.code == 2
    assert problem in " ".join(command.error.split())
    assert "Traceback" not in command.error


async def test_the_wrappers_own_words_for_bad_input(hub: HubPeer, start: Start, nursery: trio.Nursery):
    with start() as process:
        await hub.connected()
        at = ["--address", await process.address()]
        command = await Command(nursery, "gate", "x", "{}", "--agent", "", "--request-id", "a b", *at).ended()
    assert (command.code, "agentId" in command.error, "requestId" in command.error) == (2, True, True)


async def test_a_wrapper_killed_while_an_agent_waits_asks_nobody_twice(
    hub: HubPeer, start: Start, nursery: trio.Nursery
):
    words = ["gate", "shell", '{"n": 1}', "--agent", "it-admin", "--request-id", "call-1"]
    with start() as process:
        asking = Command(nursery, *words, "--address", await process.address(), "--wait", "1")
        request = await hub.message("approvalRequest")
        process.kill()
        assert (await asking.ended()).code == 2
    with contextlib.suppress(OSError):
        await hub.until(lambda: hub.socket is None)
    await hub.settle(request, "approve")
    with start() as process:
        at = ["--address", await process.address()]
        await hub.acked(1)
        allowed = await Command(nursery, *words, *at).ended()
        assert (allowed.code, allowed.out.splitlines()[0]) == (0, "Allowed: approved by Maria.")
        process.kill()
    with start() as process:
        at = ["--address", await process.address()]
        await hub.connected(times=3)
        again = await Command(nursery, *words, *at).ended()
        told = await Command(nursery, "outcome", "call-1", "executed", *at).ended()
        outcome = await hub.message("approvalOutcome")
    assert (again.code, "released once already" in again.out) == (1, True)
    assert (told.code, outcome["outcome"]) == (0, "executed")
    assert len([frame for frame in hub.taken.values() if frame["type"] == "approvalRequest"]) == 1
