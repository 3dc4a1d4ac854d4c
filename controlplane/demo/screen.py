"""What the demo prints: progress while it starts, one screen when it is ready, a line when something happens."""

from __future__ import annotations

import contextlib
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

import click
import trio

from controlplane.demo.cast import ACME, COMPANIES, CUSTOMER, OWNER, part_with
from controlplane.secret import Secret
from protocol.objects import CommandApproval
from wrapper.habits import Habit


class Screen:
    """Lines on standard output, each with the seconds since the start; a terminal that is gone harms nothing."""

    def __init__(self) -> None:
        self._started_at = trio.current_time()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return trio.current_time() - self._started_at

    def say(self, text: str) -> None:
        """One line of what is going on."""
        self.show(f"{self.seconds:6.1f} s  {text}")

    def show(self, text: str) -> None:
        """A text as it is."""
        with contextlib.suppress(OSError):
            click.echo(text)


@dataclass(frozen=True, slots=True)
class Ready:
    """What the screen of a ready demo tells.

    Attributes:
        address: by which people reach the Hub.
        local: by which this machine does.
        waiting: approvals that wait for the customer who signs in.
        asked: one of these; None while no agent has asked.
        switch: the script that switches the absent tenant on.
        reader: the script that shows the newest letter; None where mail goes out into the world.
    """

    seconds: float
    address: str
    local: str
    owner_password: Secret
    customer_password: Secret
    tenants: int
    online: int
    waiting: int
    waiting_in_all: int
    asked: CommandApproval | None
    curl_file: Path
    switch: Path
    reader: Path | None
    home: Path
    hub_pid: int | None


def ready_screen(ready: Ready) -> str:
    """The one screen: at most 24 lines."""
    flaps, old, absent = (part_with(habit).domain for habit in (Habit.FLAPS, Habit.OUTDATED, Habit.LEAVES))
    port = ready.local.rpartition(":")[2]
    return "\n".join(
        [
            "",
            f"The Hub is ready on {ready.address} after {ready.seconds:.1f} s.   API: {ready.address}/api/docs",
            f"  customer  {CUSTOMER.email:<20} {ready.customer_password.reveal()}   ({CUSTOMER.name}, {ACME.name})",
            f"  staff     {OWNER.email:<20} {ready.owner_password.reveal()}   ({OWNER.name})",
            f"{ready.tenants} tenants of {len(COMPANIES)} companies, {ready.online} online; approvals that wait: "
            f"{ready.waiting} for {CUSTOMER.name}, {ready.waiting_in_all} in all",
            f"{flaps} keeps losing its socket, {absent} leaves, {old} is out of date",
            "",
            "In the browser",
            "  1 Sign in as the customer; approve one, deny another with a reason, see what became of them.",
            "  2 Sign in as staff in a private window. Both decide the same one: the second is told by whom.",
            f"  3 Kill the Hub under open pages (kill -9 {_of(ready.hub_pid)}): they say so, and miss nothing.",
            f"  4 sh {shlex.quote(str(ready.switch))}   brings {absent} back: it gets what waited",
            f"  5 {_mail(ready.reader)}",
            f"  6 On a phone: HUB_BIND=0.0.0.0:{port} HUB_PUBLIC_URL=http://<this machine>:{port} make demo",
            "",
            *_curl_lines(ready),
            f"Logs, curl files, mail, what the agents did (wrappers/*/effects.log): {ready.home}",
            "Ctrl-C ends everything; the next start continues.",
        ]
    )


def _mail(reader: Path | None) -> str:
    if reader is None:
        return "What waits for half a minute is mailed, by your HUB_SMTP_URL."
    return f"sh {shlex.quote(str(reader))}   shows the newest mail; what waits 30 s is mailed"


def _of(pid: int | None) -> str:
    return "its process" if pid is None else str(pid)


def _curl_lines(ready: Ready) -> list[str]:
    asked = ready.asked
    if asked is None:
        words = "nothing yet: put an id of the list in the place of APPROVAL"
    else:
        words = f"{asked.human_readable} ({asked.command_class})"
    return [
        "In another terminal, as the customer: list what agents ask for, decide, see what became of it.",
        f"  {textwrap.shorten(f'# {words}', 96, placeholder=' …')}",
        f"  KEY={shlex.quote(str(ready.curl_file))}",
        f"  ASKED={ready.local}/api/v1/customer/approvals ONE={asked.id if asked else 'APPROVAL'}",
        '  curl -K "$KEY" $ASKED | python3 -m json.tool',
        """  curl -K "$KEY" $ASKED/$ONE -d '{"action":"approve"}' | python3 -m json.tool""",
        '  curl -K "$KEY" $ASKED/$ONE | python3 -m json.tool',
    ]
