"""`safety-wrapper run` as a person starts it: registers, answers /health, keeps secrets, says why it cannot start."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.integration.wrapper.hub_peer import KEY, TOKEN, HubPeer
from wrapper.health import add_health
from wrapper.local_api import LocalApi

CLI = Path(sys.executable).parent / "safety-wrapper"


@contextmanager
def running(hub: HubPeer, state: Path, *more: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(CLI), "run", "--hub", hub.url, "--state", str(state), "--listen", "127.0.0.1:0", *more]
    with (state.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def ended(process: subprocess.Popen[bytes]) -> int:
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)


async def test_it_registers_once_and_comes_back_with_its_key(hub: HubPeer, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with running(hub, tmp_path / "state", "--registration-token-file", str(token)):
        await hub.until(lambda: hub.frames)
    with running(hub, tmp_path / "state", "--registration-token-file", str(token)):
        await hub.connected(times=2)
    assert len(hub.registrations) == 1
    log = (tmp_path / "log").read_text()
    assert "link.welcomed" in log
    assert KEY not in log
    assert TOKEN not in log
    assert all(KEY.encode() not in file.read_bytes() for file in (tmp_path / "state").iterdir())


async def test_a_lost_answer_is_asked_for_again_by_the_same_instance(hub: HubPeer, tmp_path: Path):
    hub.lose_registration_answers = 1
    with running(hub, tmp_path / "state", SAFETY_WRAPPER_REGISTRATION_TOKEN=TOKEN):
        await hub.connected()
    first, second = hub.registrations
    assert first == second
    assert first["registrationToken"] == TOKEN
    assert len(first["instanceId"]) == 36


async def test_a_new_token_buys_a_new_key(hub: HubPeer, tmp_path: Path):
    hub.tokens.add("rt_second")
    with running(hub, tmp_path / "state", "--registration-token", TOKEN):
        await hub.connected()
    with running(hub, tmp_path / "state", "--registration-token", "rt_second"):
        await hub.connected(times=2)
    assert [body["registrationToken"] for body in hub.registrations] == [TOKEN, "rt_second"]
    assert len({body["instanceId"] for body in hub.registrations}) == 1


async def test_sigterm_says_goodbye(hub: HubPeer, tmp_path: Path):
    codes: list[int | None] = []
    with running(hub, tmp_path / "state", "--registration-token", TOKEN) as process:
        await hub.connected()
        socket = hub.socket
        process.terminate()
        assert await ended(process) == 0
        await hub.until(lambda: hub.socket is None)
        assert socket is not None
        codes.append(socket.close_code)
    assert codes == [1000]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hub", "http://hub.letsbe.biz", "--state", "S"], "the key would travel unencrypted"),
        (["--hub", "http://127.0.0.1:1", "--state", "S"], "not registered yet"),
        (["--hub", "http://127.0.0.1:1", "--state", "S", "--listen", "nonsense"], "must be HOST:PORT"),
        (["--hub", "http://127.0.0.1:1", "--state", "S", "--master-key-file", "/nonexistent"], "cannot be read"),
        (["--hub", "http://127.0.0.1:1"], "Missing option '--state'"),
        (["--hub", "HUB", "--state", "S", "--registration-token", "rt_wrong"], "unknown registration token"),
    ],
)
async def test_it_says_why_it_cannot_start(hub: HubPeer, tmp_path: Path, arguments: list[str], words: str):
    places = {"S": str(tmp_path / "state"), "HUB": hub.url}
    listen = [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
    command = [str(CLI), "run", *(places.get(word, word) for word in arguments), *listen]
    done = await trio.run_process(command, capture_stderr=True, capture_stdout=True, check=False)
    assert done.returncode in (1, 2)
    text = done.stderr.decode()
    assert words in " ".join(text.split())
    assert "Traceback" not in text


async def test_help_teaches(tmp_path: Path):
    for arguments in ([], ["run"], ["openclaw"]):
        done = await trio.run_process([str(CLI), *arguments, "--help"], capture_stdout=True)
        assert b"Safety Wrapper" in done.stdout or b"Register" in done.stdout or b"bridge" in done.stdout


# --- /health -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def health() -> AsyncIterator[str]:
    status: dict[str, Any] = {"status": "ok", "safetyWrapper": {"connected": True}, "openclaw": None}
    api = LocalApi()
    add_health(api, lambda: status)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


async def test_health_answers_and_nothing_else_does():
    async with health() as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/health?x=1")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.headers["content-type"] == "application/json"
        assert (await client.head("/health")).status_code == 200
        assert (await client.post("/health", json={})).status_code == 405
        assert (await client.get("/")).status_code == 404


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01", b"GET /" + b"x" * 70_000, b"\r\n\r\n\r\n", b"GET"])
async def test_health_outlives_junk(junk: bytes):
    async with health() as url:
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
        async with stream:
            with trio.fail_after(5), contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(junk)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/health")).status_code == 200


# --- executors ---------------------------------------------------------------------------------------------


async def test_declared_programs_run_the_hubs_commands(hub: HubPeer, tmp_path: Path):
    executors = tmp_path / "executors.toml"
    executors.write_text('[commands.RUN_BACKUP]\nprogram = ["/bin/echo", "all", "saved"]\n')
    with running(hub, tmp_path / "state", "--registration-token", TOKEN, "--executors", str(executors)):
        await hub.connected()
        backup = await hub.result(await hub.command("RUN_BACKUP"))
        unknown = await hub.result(await hub.command("RESTART_SERVICE"))
    assert (backup["status"], backup["output"]) == ("succeeded", "all saved\n")
    assert unknown["status"] == "rejected"


async def test_a_wrong_executor_file_stops_the_start_in_a_sentence(hub: HubPeer, tmp_path: Path):
    executors = tmp_path / "executors.toml"
    executors.write_text('[commands.RUN_BACKUP]\nprogram = ["backup"]\nidempotent = 1\n')
    with running(hub, tmp_path / "state", "--registration-token", TOKEN, "--executors", str(executors)) as process:
        assert await ended(process) == 1
    log = (tmp_path / "log").read_text()
    assert f"{executors}: commands.RUN_BACKUP.idempotent: must be `bool`, got `int`" in log
    assert "Traceback" not in log
    assert not hub.registrations


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="leftovers are found by Linux's /proc")
@pytest.mark.parametrize(("idempotent", "runs"), [("false", 1), ("true", 2)])
async def test_a_program_that_outlives_a_killed_wrapper_is_ended_before_its_command_is_settled(
    hub: HubPeer, tmp_path: Path, idempotent: str, runs: int
):
    """The first run would last for ever; the second, where there is one, ends at once."""
    began, executors = tmp_path / "began", tmp_path / "executors.toml"
    script = f"echo $$ >> {began}; test $(wc -l < {began}) -gt 1 || exec /bin/sleep 600"
    executors.write_text(
        f'[commands.RUN_BACKUP]\nprogram = ["/bin/sh", "-c", {json.dumps(script)}]\nidempotent = {idempotent}\n'
    )
    options = ["--registration-token", TOKEN, "--executors", str(executors)]
    with running(hub, tmp_path / "state", *options) as process:
        await hub.connected()
        command = await hub.command("RUN_BACKUP")
        with trio.fail_after(30):
            while not (began.exists() and began.read_text().endswith("\n")):  # noqa: ASYNC110 (a file does not tell)
                await trio.sleep(0.02)
        process.kill()
        process.wait()
        first = int(began.read_text())
        assert not _gone(first)
        await hub.until(lambda: hub.socket is None)
    with running(hub, tmp_path / "state", *options):
        result = await hub.result(command)
        assert _gone(first)
    assert len(began.read_text().split()) == runs
    if runs == 1:
        assert (result["status"], result["output"]) == ("failed", "interrupted, outcome unknown")
    else:
        assert result["status"] == "succeeded"


def _gone(process: int) -> bool:
    """Whether it runs no longer; nobody may have reaped it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
