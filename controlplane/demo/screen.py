"""What the demo prints: progress while it starts, one screen when it is ready, a line when something happens."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import trio

from controlplane.demo.cast import COMPANY, CUSTOMER, OWNER
from controlplane.secret import Secret
from protocol.objects import CommandApproval

_READABLE: Final = "python3 -m json.tool"


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
        tenants: domain, presence and how many approvals wait, of each.
        asked: an approval that waits for a decision; None while no agent has asked.
    """

    seconds: float
    address: str
    local: str
    owner_password: Secret
    customer_password: Secret
    tenants: list[tuple[str, str, int]]
    asked: CommandApproval | None
    asked_by: str
    curl_file: Path
    state: Path


def ready_screen(ready: Ready) -> str:
    """The one screen."""
    lines = [
        "",
        f"The Hub is ready on {ready.address} after {ready.seconds:.1f} s.   API: {ready.address}/api/docs",
        "",
        f"Sign in on {ready.address}/api/auth/signin",
        f"  staff     {OWNER.email:<20} {ready.owner_password.reveal()}",
        f"  customer  {CUSTOMER.email:<20} {ready.customer_password.reveal()}   ({CUSTOMER.name}, {COMPANY})",
        "",
        "Tenants, each with five scripted agents behind a Safety Wrapper",
        *(f"  {domain:<22} {presence:<8} {_asks(waiting)}" for domain, presence, waiting in ready.tenants),
        "",
        *_curl_lines(ready),
        "",
        f"Logs, curl files and what the agents did (wrappers/*/effects.log): {ready.state / 'demo'}",
        "Ctrl-C ends everything; the next start continues.",
        "",
    ]
    return "\n".join(lines)


def _asks(waiting: int) -> str:
    return "no agent asks yet" if waiting == 0 else f"{waiting} {'agent asks' if waiting == 1 else 'agents ask'}"


def _curl_lines(ready: Ready) -> list[str]:
    curl = f"curl -K {shlex.quote(str(ready.curl_file))}"
    approvals = f"{ready.local}/api/v1/customer/approvals"
    asked = ready.asked
    if asked is None:
        words = "in a minute, with an id of the list in the place of APPROVAL"
    else:
        words = f"{asked.human_readable} ({asked.command_class}, on {ready.asked_by})"
    one = f"{approvals}/{asked.id if asked else 'APPROVAL'}"
    return [
        "As the customer, in another terminal: list what the agents ask for, decide, see what became of it.",
        f"The one decided here: {words}",
        "",
        f"  {curl} {approvals} | {_READABLE}",
        f'  {curl} -d \'{{"action":"approve"}}\' {one} | {_READABLE}',
        f"  {curl} {one} | {_READABLE}",
    ]
