"""Live questions answered at the wrapper: by programs, by the container engine, or with words on why not."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h11
import pytest
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.answerers import OUTPUT_BYTES, Program
from wrapper.containers import ContainerEngine

Ask = Callable[..., Any]


@pytest.fixture
def ask(hub: HubPeer) -> Ask:
    """Asks the wrapper that is connected, as the Hub does."""
    numbers = iter(range(1000))

    async def asked(kind: str, deadline_ms: int = 20_000, **params: Any) -> dict[str, Any]:
        query_id = f"q-{next(numbers)}"
        await hub.connected()
        await hub.say({"type": "query", "id": query_id, "kind": kind, "params": params, "deadlineMs": deadline_ms})
        return await hub.until(lambda: next((f for f in hub.frames if f.get("queryId") == query_id), None), seconds=60)

    return asked


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """Makes a program, and the answerers that ask it."""

    def made(kind: str, script: str) -> dict[str, Any]:
        path = tmp_path / kind
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {kind: Program(kind, path).answer}

    return made


async def test_what_nothing_here_knows_is_refused_with_what_would_help(ask: Ask, open_wrapper: OpenWrapper) -> None:
    async with open_wrapper():
        for kind in ("conversations", "conversation", "tools"):
            reply = await ask(kind, agentId="secretary")
            assert (reply["ok"], reply["code"], reply["data"]) == (False, "NOT_CONFIGURED", None)
            assert "nothing on this server tells of" in reply["error"]
        assert "--answer conversations=PROGRAM" in (await ask("conversations"))["error"]
        assert (await ask("dance"))["code"] == "UNKNOWN_QUERY"


# --- programs ----------------------------------------------------------------------------------------------


async def test_a_program_is_given_the_question_and_its_answer_is_told(
    ask: Ask, open_wrapper: OpenWrapper, program: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETY_WRAPPER_MASTER_KEY", "canary")
    script = """printf '{"asked": %s, "environment": "%s"}' "$(cat)" "$(env | grep -c canary)" """
    async with open_wrapper(answerers=program("conversations", script)):
        reply = await ask("conversations", agentId="a", text='\u202e\'; rm -rf "$HOME"')
    assert reply["ok"], reply
    params = {"agentId": "a", "text": '\u202e\'; rm -rf "$HOME"'}
    assert reply["data"] == {"asked": {"kind": "conversations", "params": params}, "environment": "0"}


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("echo 'first' >&2; echo 'no such room' >&2; exit 66", "NOT_FOUND", "no such room"),
        ("exit 66", "NOT_FOUND", "there is no such thing"),
        ("echo 'the mail store is locked' >&2; exit 3", "FAILED", "the mail store is locked"),
        ("exit 3", "FAILED", "the program that answers this ended with 3"),
        ("echo hello", "FAILED", "the program that answers this did not answer with JSON"),
        ("printf '\\377'", "FAILED", "the program that answers this did not answer with JSON"),
        ("kill -9 $$", "FAILED", "the program that answers this ended with -9"),
    ],
)
async def test_a_program_that_fails_says_why(
    ask: Ask, open_wrapper: OpenWrapper, program: Ask, script: str, code: str, words: str
) -> None:
    async with open_wrapper(answerers=program("conversations", script)):
        reply = await ask("conversations")
    assert (reply["ok"], reply["code"], reply["error"]) == (False, code, words)


async def test_a_program_that_cannot_be_started_is_told(ask: Ask, open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with open_wrapper(answerers={"tools": Program("tools", tmp_path / "gone").answer}):
        assert (await ask("tools"))["error"] == "the program that answers this cannot be started"


async def test_a_program_that_prints_for_ever_is_ended(ask: Ask, open_wrapper: OpenWrapper, program: Ask) -> None:
    async with open_wrapper(answerers=program("conversations", "yes 0123456789")):
        reply = await ask("conversations")
    assert (reply["code"], reply["error"]) == ("FAILED", f"the answer is larger than {OUTPUT_BYTES} bytes")


async def test_a_program_that_hangs_is_ended_with_all_it_started(
    ask: Ask, open_wrapper: OpenWrapper, program: Ask, tmp_path: Path
) -> None:
    script = f"echo $$ > {tmp_path}/pids; sleep 600 & echo $! >> {tmp_path}/pids; wait"
    async with open_wrapper(answerers=program("conversations", script)):
        reply = await ask("conversations", deadline_ms=3000)
        assert (reply["code"], reply["error"]) == ("TOO_LATE", "no answer in time")
        pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 2
        with trio.fail_after(20):
            while any(alive(pid) for pid in pids):  # noqa: ASYNC110 (other processes do not tell)
                await trio.sleep(0.02)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_more_questions_than_can_be_worked_on_are_refused(
    hub: HubPeer, ask: Ask, open_wrapper: OpenWrapper
) -> None:
    async def never(_: dict[str, Any]) -> Any:
        await trio.sleep_forever()

    async with open_wrapper(answerers={"conversations": never}):
        await hub.connected()
        for number in range(16):
            query = {"type": "query", "id": f"slow-{number}", "kind": "conversations", "params": {}}
            await hub.say({**query, "deadlineMs": 60_000})
        assert (await ask("ping"))["code"] == "BUSY"


# --- the container engine ----------------------------------------------------------------------------------


def container(name: str, state: str = "running", status: str = "Up 2 hours", **labels: str) -> dict[str, Any]:
    named = {label.replace("_", "."): value for label, value in labels.items()}
    return {"Id": "f" * 64, "Names": [f"/{name}"], "State": state, "Status": status, "Labels": named}


SERVER = [
    container("ghost-app-1", com_docker_compose_project="ghost"),
    container("ghost-db-1", com_docker_compose_project="ghost"),
    container("ghost-migrate-1", "exited", "Exited (0) 2 hours ago", com_docker_compose_project="ghost"),
    container("nextcloud-app-1", com_docker_compose_project="nextcloud"),
    container("nextcloud-cron-1", "exited", "Exited (137) 1 hour ago", com_docker_compose_project="nextcloud"),
    container("odoo-1", "exited", "Exited (0) 1 day ago", biz_letsbe_tool="odoo", com_docker_compose_project="x"),
    container("umami", "running", "Up 3 minutes (unhealthy)"),
]


class Engine:
    """Docker's API on a Unix socket, as far as it is asked here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: tuple[int, bytes] = (200, json.dumps(SERVER).encode())
        self.asked: list[str] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Engine]:
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(str(self.path))
        listening.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._talk, [trio.SocketListener(listening)])
            yield self
            nursery.cancel_scope.cancel()

    async def _talk(self, stream: trio.SocketStream) -> None:
        async with stream:
            http = h11.Connection(h11.SERVER)
            while not isinstance(event := http.next_event(), h11.Request):
                assert event is h11.NEED_DATA
                http.receive_data(await stream.receive_some())
            self.asked.append(event.target.decode())
            status, body = self.answer
            head = http.send(h11.Response(status_code=status, headers=[("Content-Length", str(len(body)))]))
            await stream.send_all((head or b"") + (http.send(h11.Data(data=body)) or b""))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with Engine(tmp_path / "engine").serving() as engine:
        yield engine


async def test_tools_are_told_as_the_engine_shows_them(ask: Ask, open_wrapper: OpenWrapper, engine: Engine) -> None:
    async with open_wrapper(container_engine=engine.path):
        reply = await ask("tools")
    assert reply["ok"], reply
    told = {tool["name"]: (tool["status"], tool["detail"]) for tool in reply["data"]["tools"]}
    assert told == {
        "ghost": ("running", None),
        "nextcloud": ("degraded", "nextcloud-cron-1 is exited"),
        "odoo": ("stopped", None),
        "umami": ("degraded", "umami is unhealthy"),
    }
    assert reply["data"]["tools"][0]["containersStopped"] == 1
    assert set(engine.asked) == {"/containers/json?all=true"}


async def test_heartbeats_count_containers(hub: HubPeer, open_wrapper: OpenWrapper, engine: Engine) -> None:
    hub.heartbeat_seconds = 1
    async with open_wrapper(container_engine=engine.path, measure_resources=True):
        beat = await hub.until(
            lambda: next((f for f in hub.frames if (f.get("resources") or {}).get("containersRunning")), None)
        )
    resources = beat["resources"]
    assert (resources["containersRunning"], resources["containersStopped"]) == (4, 3)
    assert 0 < resources["memoryUsedMb"] < resources["memoryTotalMb"]
    assert 0 < resources["diskUsedGb"] < resources["diskTotalGb"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b"{}"), "it answers HTTP 500"),
        ((200, b'{"message": "no"}'), "its answer is no list of containers"),
        ((200, b"[" * 20_000), "its answer is no list of containers"),
    ],
)
async def test_an_engine_in_trouble_is_told(
    ask: Ask, open_wrapper: OpenWrapper, engine: Engine, answer: tuple[int, bytes], words: str
) -> None:
    engine.answer = answer
    async with open_wrapper(container_engine=engine.path):
        reply = await ask("tools")
    assert (reply["ok"], reply["code"]) == (False, "FAILED")
    assert words in reply["error"]


async def test_without_an_engine_there_is_no_count(engine: Engine, nursery: trio.Nursery, autojump_clock: Any) -> None:
    counted = ContainerEngine(engine.path)
    nursery.start_soon(counted.run)
    await until(lambda: counted.count is not None)
    assert counted.count is not None
    assert (counted.count.running, counted.count.stopped) == (4, 3)
    os.unlink(engine.path)
    await until(lambda: counted.count is None)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 (on a clock that jumps)
        await trio.sleep(1)
