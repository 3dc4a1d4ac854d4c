"""Commands as real programs: arguments, input, output, time limits, groups, and what a killed wrapper leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.commands import Executor
from wrapper.executors.declaration import MARK, read_declarations
from wrapper.executors.leftovers import Leftovers
from wrapper.executors.program import program_executors


def declare(folder: Path, **tables: str) -> dict[str, Executor]:
    """Executors of an executor file with these tables."""
    path = folder / "executors.toml"
    path.write_text("\n".join(f"[commands.{name}]\n{table}" for name, table in tables.items()))
    return program_executors(read_declarations(path), Leftovers(str(folder)))


def python(code: str) -> str:
    """A table whose program is this Python code."""
    return f"program = {json.dumps([sys.executable, '-c', code])}\n"


def alive(process: int) -> bool:
    """Whether it runs: a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Any, seconds: float = 30) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 (another process does not tell)
            await trio.sleep(0.02)


async def result_of(hub: HubPeer, open_wrapper: OpenWrapper, executors: dict[str, Executor], **payload: Any) -> Any:
    (name,) = executors
    async with open_wrapper(executors=executors):
        await hub.connected()
        return await hub.result(await hub.command(name, **payload))


async def test_a_program_gets_its_arguments_and_nothing_else(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = "import os, sys, json; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), sys.stdin.read()]))"
    table = f"""program = {json.dumps([sys.executable, "-c", code, "{what}", "; true"])}
folder = "{tmp_path}"
environment = {{COLOUR = "green"}}
[commands.SAY.fields.what]
pattern = "[^-].*"
"""
    result = await result_of(hub, open_wrapper, declare(tmp_path, SAY=table), what="$HOME `id` *")
    assert result["status"] == "succeeded", result
    arguments, environment, folder, told = json.loads(result["output"])
    assert (arguments, folder, told) == (["$HOME `id` *", "; true"], str(tmp_path), "")
    environment.pop("LC_CTYPE", None)  # Python's own
    assert environment.pop(MARK).endswith("/cmd_1")
    assert sorted(environment) == ["COLOUR", "LANG", "PATH"]


async def test_the_payload_comes_by_standard_input(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    executors = declare(tmp_path, UPDATE_CONFIG='program = ["/bin/cat"]\npayload_on_stdin = true')
    payload = {"text": "ü" * 20_000, "more": [1, None, {"a": "b"}]}
    result = await result_of(hub, open_wrapper, executors, **payload)
    assert result["status"] == "succeeded"
    assert "bytes left out" not in result["output"]
    assert json.loads(result["output"]) == payload


async def test_a_program_need_not_read_its_input(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    executors = declare(tmp_path, UPDATE_CONFIG='program = ["/bin/true"]\npayload_on_stdin = true')
    result = await result_of(hub, open_wrapper, executors, text="x" * 500_000)
    assert (result["status"], result["output"]) == ("succeeded", "")


async def test_a_failure_is_told_with_all_that_was_printed(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr, flush=True); print('end'); sys.exit(3)"
    result = await result_of(hub, open_wrapper, declare(tmp_path, FAIL=python(code)))
    assert (result["status"], result["output"]) == ("failed", "out\nerr\nend\nended with exit code 3")


async def test_a_program_that_dies_is_told_by_its_signal(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = "import os; os.kill(os.getpid(), 9)"
    result = await result_of(hub, open_wrapper, declare(tmp_path, DIE=python(code)))
    assert (result["status"], result["output"]) == ("failed", "ended by signal 9 (Killed)")


async def test_much_output_is_cut_in_the_middle(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = "import sys; sys.stdout.write('first' + 'x' * 5_000_000 + 'last\\x00\\x1b[2J')"
    result = await result_of(hub, open_wrapper, declare(tmp_path, CHATTER=python(code) + "output_bytes = 90000"))
    text = result["output"]
    assert result["status"] == "succeeded"
    assert text.startswith("firstxxx")
    assert text.endswith("xxxlast\N{REPLACEMENT CHARACTER}\x1b[2J")
    assert "… 4,910,014 bytes left out …" in text


async def test_a_vanished_program_fails_in_words(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    executors = declare(tmp_path, GO=f'program = ["{program}"]')
    program.unlink()
    result = await result_of(hub, open_wrapper, executors)
    assert result["status"] == "failed"
    assert f"{program} cannot be started: [Errno 2]" in result["output"]


async def test_a_payload_that_does_not_fit_is_rejected_and_nothing_begins(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    touched = tmp_path / "touched"
    table = f"""program = ["/usr/bin/touch", "{touched}", "{{name}}"]
[commands.RESTART_SERVICE.fields.name]
allowed = ["{touched}"]
"""
    executors = declare(tmp_path, RESTART_SERVICE=table)
    async with open_wrapper(executors=executors):
        bad = await hub.result(await hub.command("RESTART_SERVICE", name="/etc/x", more=1))
        unknown = await hub.result(await hub.command("RUN_BACKUP"))
        assert not touched.exists()
        good = await hub.result(await hub.command("RESTART_SERVICE", name=str(touched)))
    assert bad["status"] == "rejected"
    assert bad["output"] == f"payload.name: must be one of {touched}; payload.more: is unknown"
    assert bad["startedAt"] is None
    assert (unknown["status"], unknown["output"]) == ("rejected", "this wrapper has no command RUN_BACKUP")
    assert (good["status"], touched.exists()) == ("succeeded", True)


async def test_at_its_limit_a_program_may_end_in_order(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = """
import signal, sys, time
def told(*_): print("tidied", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, told)
print("began", flush=True)
time.sleep(600)
"""
    result = await result_of(hub, open_wrapper, declare(tmp_path, SLOW=python(code) + "limit_seconds = 2"))
    assert (result["status"], result["output"]) == ("timedOut", "began\ntidied\nstopped after 2 s")


async def test_at_its_limit_the_whole_group_is_killed(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wrapper.executors.program.GRACE_SECONDS", 0.5)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True)"
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {stubborn + "; time.sleep(600)"!r}])
print(child.pid, flush=True)
time.sleep(600)
"""
    result = await result_of(hub, open_wrapper, declare(tmp_path, SLOW=python(code) + "limit_seconds = 4"))
    assert result["status"] == "timedOut"
    words = result["output"].split()
    assert "here" in words
    child = next(int(word) for word in words if word.isdigit())
    await until(lambda: not alive(child))


async def test_what_a_program_leaves_running_is_not_waited_for(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    code = "import subprocess; print(subprocess.Popen(['/bin/sleep', '600']).pid)"
    result = await result_of(hub, open_wrapper, declare(tmp_path, SERVE=python(code)))
    child = int(result["output"])
    try:
        assert (result["status"], alive(child)) == ("succeeded", True)
    finally:
        os.kill(child, signal.SIGKILL)


async def test_a_wrapper_that_is_stopped_takes_its_programs_along(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    marker = tmp_path / "pid"
    code = f"import os, time; open({str(marker) + '.new'!r}, 'w').write(str(os.getpid()));"
    code += f"os.rename({str(marker) + '.new'!r}, {str(marker)!r}); time.sleep(600)"
    executors = declare(tmp_path, ONCE=python(code))
    async with open_wrapper(executors=executors):
        command = await hub.command("ONCE")
        await until(marker.exists)
        program = int(marker.read_text())
        assert alive(program)
    assert not alive(program)
    async with open_wrapper(executors=executors):
        result = await hub.result(command)
    assert (result["status"], result["output"]) == ("failed", "interrupted, outcome unknown")


# --- what an earlier life left -----------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="leftovers are found by Linux's /proc")
async def test_leftovers_are_found_by_their_mark_and_no_others(tmp_path: Path):
    leftovers, stranger = Leftovers("instance-1"), Leftovers("instance-2")
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"

    def start(mark: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", stubborn + "; time.sleep(600)"],
            env={MARK: mark},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    mine, other, others = start(leftovers.mark("cmd_1")), start(leftovers.mark("cmd_2")), start(stranger.mark("cmd_1"))
    try:
        for process in (mine, other, others):
            assert process.stdout is not None
            assert process.stdout.readline() == b"1\n"
        await leftovers.stop([])
        await leftovers.stop(["cmd_1"])
        assert mine.wait() == -signal.SIGKILL
        assert (other.poll(), others.poll()) == (None, None)
    finally:
        for process in (mine, other, others):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_without_a_proc_nothing_is_found(tmp_path: Path):
    assert Leftovers("instance", proc=tmp_path / "none")._find({b"x"}) == set()
