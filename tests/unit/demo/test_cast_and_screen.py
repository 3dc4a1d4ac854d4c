"""The demo's cast fits the Hub it plays on, and its screen is one screen."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path

import msgspec
import pytest
import trio

from controlplane.demo.cast import COMPANIES, ROLES
from controlplane.demo.newest_letter import KEPT, forget_old, letters, main
from controlplane.demo.screen import Ready, ready_screen
from controlplane.integrations.mail_carrier import Message
from controlplane.integrations.mail_folder import FolderCarrier
from controlplane.secret import Secret
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.tools import application_of
from protocol.objects import CommandApproval
from wrapper.habits import Habit
from wrapper.script import scenario

SCREEN_LINES = 24
SCREEN_COLUMNS = 100

APPROVAL = {
    "id": "appr_01m85d5w69fkzbma2cs2en8q09",
    "orderId": "ord_01m85d5w69fkzbma2cs2en8q09",
    "agentId": "it-admin",
    "commandClass": "critical_red",
    "toolName": "volume_remove",
    "toolArgs": {},
    "humanReadable": "IT Admin wants to remove the volume nextcloud_preview-cache (5.1 GB, cannot be brought back)",
    "status": "PENDING",
    "requestedAt": "2026-03-16T14:00:00Z",
    "expiresAt": "2026-03-17T14:00:00Z",
    "requestId": "r",
    "argsHash": "h",
    "impact": None,
    "settledAt": None,
    "decidedBy": None,
    "reason": None,
    "outcome": None,
    "outcomeDetail": None,
    "outcomeAt": None,
}


def test_the_cast_is_whole_and_no_script_needs_what_is_not_installed() -> None:
    parts = [part for company in COMPANIES for part in company.parts]
    people = [company.customer for company in COMPANIES]
    for unique in (
        [part.name for part in parts],
        [part.domain for part in parts],
        [person.email for person in people],
        [person.who for person in people],
    ):
        assert len(set(unique)) == len(unique)
    assert set(ROLES) == set(TEMPLATES)
    assert {part.habit for part in parts} == set(Habit)
    assert {part.tier for part in parts} == {"Lite", "Build", "Scale"}
    for part in parts:
        tools = [wish.tool for wishes in scenario(part.script).agents.values() for wish in wishes]
        assert {application_of(tool) for tool in tools} - {None} <= set(part.applications), part.name
        assert part.agents.keys() <= set(ROLES)


@pytest.mark.parametrize("mailed_here", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_the_screen_is_one_screen(asked: bool, mailed_here: bool) -> None:
    approval = msgspec.json.decode(msgspec.json.encode(APPROVAL), type=CommandApproval) if asked else None
    home = Path("/root/letsbe-hub/state/demo")
    ready = Ready(
        seconds=12.3,
        address="http://127.0.0.1:8000",
        local="http://127.0.0.1:8000",
        owner_password=Secret("aaaa-bbbb-cccc-dddd"),
        customer_password=Secret("aaaa-bbbb-cccc-dddd"),
        tenants=12,
        online=11,
        waiting=5,
        waiting_in_all=19,
        asked=approval,
        curl_file=home / "customer.curl",
        switch=home / "switch-on",
        reader=home / "newest-mail" if mailed_here else None,
        home=home,
        hub_pid=12345,
    )
    lines = ready_screen(ready).splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS, max(lines, key=len)
    assert lines[-1] == "Ctrl-C ends everything; the next start continues."
    assert ("sh /root/letsbe-hub/state/demo/newest-mail" in "\n".join(lines)) == mailed_here


def test_the_newest_letter_is_shown_as_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 1
    assert f"no letter yet in {tmp_path}" in capsys.readouterr().out
    link = f"http://127.0.0.1:8000/customer/approvals?a={'x' * 90}"
    for day, subject in ((2, "Müller fragt"), (1, "older"), (3, "Zwei Fragen warten – größer")):
        message = Message(
            message_id=f"m{day}@hub.example",
            sender=Address("Hub", "hub", "localhost"),
            recipient="maria@acme.example",
            subject=subject,
            text=f"Decide here: {link}\n",
            html="<p>Decide</p>",
            date=datetime(2026, 3, day, 12, tzinfo=UTC),
        )
        trio.run(FolderCarrier(tmp_path).send, message)
    assert main(tmp_path) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"To: maria@acme.example\nSubject: Zwei Fragen warten – größer\n\nDecide here: {link}\n")
    assert "<p>" not in said


def test_of_old_letters_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        (tmp_path / f"20260301-{number:06d}-m.eml").touch()
    forget_old(tmp_path)
    assert len(letters(tmp_path)) == KEPT
    assert letters(tmp_path)[0].name == "20260301-000003-m.eml"
