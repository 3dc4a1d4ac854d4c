"""`hub demo` as a newcomer meets it: ready soon, its lines work, Ctrl-C leaves nothing, the next start goes on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.demo.cast import ACME, COMPANIES, part_with
from wrapper.habits import Habit

LAST_LINE = "Ctrl-C ends everything; the next start continues."
#: On a machine that has much else to do; the promise to a newcomer is a third of it.
READY_SECONDS = 180
END_SECONDS = 40
TENANTS = sum(len(company.parts) for company in COMPANIES)
#: The one who is away by intention, and the one who comes and goes.
UNSTEADY = {part_with(habit).domain for habit in (Habit.LEAVES, Habit.FLAPS)}
SCREEN_LINES = 24

# The processes of one state folder are told apart by what the kernel shows of each.
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes")


def environment(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DATABASE_", "PORT"))}
    return {
        **kept,
        "HUB_STATE_DIR": str(state),
        "HUB_MAIL_GRACE_SECONDS": "1",  # the first letter need not be waited for
        "PYTHONIOENCODING": "utf-8",
    }


class Demo:
    """One `hub demo`, leader of a process group as in a terminal; what it prints is kept as it comes."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.began_at = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controlplane", "demo", "--bind", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=state.parent,
            env=environment(state),
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.silent = False
        self._more = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._more:
                    self.lines.append(line.rstrip("\n"))
                    self._more.notify_all()
        with self._more:
            self.silent = True
            self._more.notify_all()

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def until_it_says(self, words: str, seconds: float = READY_SECONDS) -> None:
        def said() -> bool:
            return any(words in line for line in self.lines)

        with self._more:
            self._more.wait_for(lambda: said() or self.silent, timeout=seconds)
        assert said(), f"{words!r} was not said within {seconds} s:\n{self.said}"

    def ready(self) -> Demo:
        self.until_it_says(LAST_LINE)
        assert time.monotonic() - self.began_at < READY_SECONDS
        return self

    def found(self, pattern: str) -> str:
        match = re.search(pattern, self.said, re.MULTILINE)
        assert match, f"{pattern!r} is not on the screen:\n{self.said}"
        return match[1]

    @property
    def address(self) -> str:
        return self.found(r"^The Hub is ready on (\S+) ")

    @property
    def passwords(self) -> tuple[str, str]:
        return self.found(r"^  staff +owner@hub\.example +(\S+)"), self.found(
            r"^  customer +maria@acme\.example +(\S+)"
        )

    @property
    def curl_lines(self) -> list[str]:
        """Each with what it needs, as typed into one terminal."""
        given = "\n".join(line.strip() for line in self.lines if line.startswith(("  KEY=", "  ASKED=")))
        return [f"{given}\n{line.strip()}" for line in self.lines if line.startswith("  curl ")]

    def staff_reads(self, path: str) -> Any:
        return data_of(f"curl -K {self.state}/demo/staff.curl '{self.address}{path}'")

    def ended(self) -> int:
        """Its exit status, in time and with nothing left behind."""
        status = self.process.wait(timeout=END_SECONDS)
        assert processes_of(self.state) == {}, self.said
        self.reader.join(timeout=END_SECONDS)
        assert "Traceback" not in self.said
        return status


def data_of(line: str) -> Any:
    """What a line, typed into a shell, prints."""
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True, cwd="/")
    answer = json.loads(run.stdout)
    assert answer["success"], answer
    return answer["data"]


def letter_by(line: str) -> str | None:
    """The letter that the printed line shows; None where there is none yet."""
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False, cwd="/")
    assert run.stderr == ""
    return run.stdout if run.returncode == 0 else None


def processes_of(state: Path) -> dict[int, str]:
    """Every living process that works on a state folder, by its id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                seen = command + (entry / "environ").read_bytes() + os.readlink(entry / "cwd").encode()
                if command and str(state).encode() in seen:
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def until(condition: Callable[[], Any], seconds: float = 60, every: float = 0.1) -> Any:
    """What a condition on other processes gives as soon as it is true.

    Args:
        every: seconds between two looks; a session may ask the Hub once a second for long.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(every)
    return result


def online(demo: Demo) -> bool:
    try:
        servers = demo.staff_reads("/api/v1/admin/servers?pageSize=100")
    except (subprocess.CalledProcessError, json.JSONDecodeError):
        return False  # the Hub is on its way
    steady = [server["presence"] for server in servers if server["domain"] not in UNSTEADY]
    return steady == ["online"] * (TENANTS - len(UNSTEADY))


def server_of(demo: Demo, habit: Habit) -> Any:
    domain = part_with(habit).domain
    return next(one for one in demo.staff_reads("/api/v1/admin/servers?pageSize=100") if one["domain"] == domain)


def registrations(demo: Demo) -> dict[str, str]:
    return {one["id"]: one["registeredAt"] for one in demo.staff_reads("/api/v1/admin/servers?pageSize=100")}


@pytest.fixture
def state() -> Iterator[Path]:
    """A short path: PostgreSQL's socket lies below it."""
    with tempfile.TemporaryDirectory(prefix="hub-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "state"


@pytest.fixture
def start(state: Path) -> Iterator[Callable[[], Demo]]:
    """Starts a demo on the test's state folder; whatever becomes of the test, nothing of it stays."""
    demos: list[Demo] = []

    def start() -> Demo:
        demos.append(Demo(state))
        return demos[-1]

    yield start
    for demo in demos:
        demo.process.kill()
        demo.process.wait()
        demo.reader.join()
    for pid in processes_of(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@needs_proc
@pytest.mark.slow
def test_a_newcomer_decides_by_the_printed_lines_and_the_next_start_continues(
    state: Path, start: Callable[[], Demo]
) -> None:
    first = start().ready()
    screen = first.lines[first.lines.index("") :]
    assert len(screen) <= SCREEN_LINES
    assert all(part_with(habit).domain in first.said for habit in Habit if habit is not Habit.STEADY)
    for provider, email, password in (
        ("credentials", "owner@hub.example", first.passwords[0]),
        ("customer", "maria@acme.example", first.passwords[1]),
    ):
        url = f"{first.address}/api/auth/callback/{provider}"
        answer = httpx.post(url, json={"email": email, "password": password}, trust_env=False)
        assert answer.status_code == 200, answer.text
    assert httpx.get(f"{first.address}/api/docs", trust_env=False).status_code == 200

    listing, deciding, looking = first.curl_lines
    waiting = {approval["id"]: approval for approval in data_of(listing)}
    approval_id = first.found(r" ONE=(\S+)$")
    assert waiting[approval_id]["status"] == "PENDING"
    decided = data_of(deciding)
    assert (decided["id"], decided["status"]) == (approval_id, "APPROVED")
    assert decided["decidedBy"]["name"] == "Maria Weber"
    outcome = until(lambda: (seen := data_of(looking))["outcome"] and seen, every=1)
    assert (outcome["outcome"], outcome["status"]) == ("executed", "APPROVED")
    effects = "".join(path.read_text() for path in state.glob("demo/wrappers/*/effects.log"))
    assert f'"tool":"{decided["toolName"]}"' in effects

    reader = first.found(r"^  5 (sh \S+/newest-mail) ")
    letter = until(lambda: letter_by(reader), every=1)
    assert re.match(r"To: \S+@\S+\nSubject: \S.*\n\n", letter)
    assert f"{first.address}/" in letter
    assert all(path.stat().st_mode & 0o077 == 0 for path in (state / "demo" / "mail").iterdir())

    for secret in ("demo/customer.curl", "demo/staff.curl", "secrets/demo-staff-password", "demo/logs/hub.log"):
        assert (state / secret).stat().st_mode & 0o077 == 0, secret
    logs = "".join(path.read_text() for path in state.glob("demo/logs/*.log"))
    assert not any(password in logs for password in first.passwords)

    second = subprocess.run(
        [sys.executable, "-m", "controlplane", "demo", "--bind", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        env=environment(state),
        timeout=END_SECONDS,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"hub: another demo runs on {state}: ")

    customers = first.staff_reads("/api/v1/admin/customers")
    servers = registrations(first)
    assert (len(customers), len(servers)) == (len(COMPANIES), TENANTS)
    assert sum(len(customer["orders"]) for customer in customers) == TENANTS
    until(lambda: server_of(first, Habit.LEAVES)["presence"] == "offline", every=1)
    until(lambda: server_of(first, Habit.OUTDATED)["configError"], every=1)
    outdated = server_of(first, Habit.OUTDATED)
    assert 0 < outdated["configAppliedVersion"] < outdated["configVersion"]
    os.killpg(first.process.pid, signal.SIGINT)
    assert first.ended() == 0

    again = start().ready()
    assert "(as before)" in again.said
    assert again.passwords == first.passwords
    assert [one["id"] for one in again.staff_reads("/api/v1/admin/customers")] == [one["id"] for one in customers]
    assert registrations(again) == servers
    approvals = f"curl -K {state}/demo/customer.curl '{again.address}/api/v1/customer/approvals/"
    assert data_of(f"{approvals}{approval_id}'") == outcome
    # What still waited goes on waiting, on both ends: it can be decided, and is acted on.
    kept = next(one for one in waiting if one != approval_id)
    assert data_of(f'{approvals}{kept}\' -d \'{{"action": "approve"}}\'')["status"] == "APPROVED"
    until(lambda: data_of(f"{approvals}{kept}'")["outcome"] == "executed", every=1)
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0


@needs_proc
@pytest.mark.slow
def test_what_is_killed_comes_back_and_when_the_demo_is_killed_the_rest_ends(
    state: Path, start: Callable[[], Demo]
) -> None:
    demo = start().ready()
    before = processes_of(state)
    wrapper = next(pid for pid, command in before.items() if "demo/wrappers/acme-events" in command)
    hub = next(pid for pid, command in before.items() if " serve " in command)
    os.kill(wrapper, signal.SIGKILL)
    demo.until_it_says("the wrapper of events.acme.example was ended by SIGKILL; starting it again")
    others = next(pid for pid, command in before.items() if "controlplane.demo.crowd" in command)
    os.kill(others, signal.SIGKILL)
    demo.until_it_says("the process of the smaller companies' wrappers was ended by SIGKILL; starting it again")
    os.kill(hub, signal.SIGKILL)
    demo.until_it_says("the Hub was ended by SIGKILL; starting it again")
    demo.until_it_says("the Hub takes requests again")
    until(lambda: online(demo), every=1)

    left = processes_of(state)
    assert len(left) > len(ACME.parts) + 3
    demo.process.kill()
    assert demo.process.wait(timeout=END_SECONDS) == -signal.SIGKILL
    following = start().ready()
    assert not left.keys() & processes_of(state).keys()
    assert online(following)
    following.process.terminate()
    assert following.ended() == 0


@needs_proc
def test_it_can_be_ended_while_it_starts(state: Path, start: Callable[[], Demo]) -> None:
    demo = start()
    until(lambda: any(" serve " in command for command in processes_of(state).values()))
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 0
    demo = start()
    demo.until_it_says("PostgreSQL runs")
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.ended() == 0


@needs_proc
def test_a_hub_in_use_is_left_alone(state: Path, start: Callable[[], Demo]) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "controlplane", "create-owner"),
            *("--email", "olivia@example.com", "--name", "Olivia", "--password-file", "-"),
        ],
        input="a passphrase nobody guesses 7\n",
        text=True,
        capture_output=True,
        env=environment(state),
        timeout=60,
        check=True,
    )
    demo = start()
    assert demo.process.wait(timeout=READY_SECONDS) == 1
    demo.until_it_says("hub: this Hub is in use already", seconds=5)
    assert "HUB_STATE_DIR=./demo-state" in demo.said
    assert demo.ended() == 1


def test_a_taken_port_is_told_before_anything_is_started(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        run = subprocess.run(
            [sys.executable, "-m", "controlplane", "demo"],
            capture_output=True,
            text=True,
            env={**environment(state), "HUB_BIND": bind},
            timeout=30,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr.startswith(f"hub: somebody listens on {bind} already: choose another with HUB_BIND=")
    assert not (state / "postgres").exists()
