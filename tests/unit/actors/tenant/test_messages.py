"""A wrapper's messages: accepted after the commit, once; refused for good or for now; and the exact end of time."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
import trio

from actors.tenant.committing import IN_HAND
from actors.tenant.messages import TakeMessage
from protocol.faults import Conflict, ValidationError
from protocol.tenant import ApprovalSettled, BackupStatus, CommandResult, ConfigApplied, Usage
from protocol.words import BackupOutcome, CommandResultStatus, SettledAction
from tests.unit.actors.tenant.world import World


def backup(message_id: str) -> BackupStatus:
    return BackupStatus(message_id, BackupOutcome.SUCCESS)


async def test_a_message_is_accepted_when_it_is_committed(world: World) -> None:
    link = await world.configured()
    world.book.held = trio.Event()
    await world.say(link, backup("m1"))
    assert link.accepted == []
    world.book.held.set()
    await world.settle_down()
    assert link.accepted == ["m1"]


async def test_a_repeat_is_accepted_again_and_taken_once(world: World) -> None:
    link = await world.configured()
    await world.say(link, backup("m1"))
    await world.say(link, backup("m1"))
    again = await world.connect()
    await world.say(again, backup("m1"))
    assert (link.accepted, again.accepted) == (["m1", "m1"], ["m1"])
    assert len(world.ledger.reports) == 1


async def test_a_repeat_while_the_first_is_being_committed_is_answered_once(world: World) -> None:
    link = await world.configured()
    world.book.held = trio.Event()
    await world.say(link, backup("m1"), backup("m1"), backup("m1"))
    assert world.book.calls.count("take") == 1
    world.book.held.set()
    await world.settle_down()
    assert link.accepted == ["m1"]


async def test_the_answer_to_a_former_connection_is_told_on_none(world: World) -> None:
    link = await world.configured()
    world.book.held = trio.Event()
    await world.say(link, world.wish("m1", expires_in_seconds=60))
    link.close(1006)
    world.book.held.set()
    world.book.held = None
    back = await world.connect(last_seq=1)
    assert (link.accepted, back.accepted) == ([], [])
    await world.say(back, world.wish("m1", expires_in_seconds=60))
    assert back.accepted == ["m1"]
    assert len(world.ledger.approvals) == 1
    await trio.sleep(61)
    assert [frame.action for frame in back.said(ApprovalSettled)] == [SettledAction.EXPIRE]


async def test_the_database_away_is_a_refusal_for_now(world: World) -> None:
    link = await world.configured()
    world.book.away = True
    await world.say(link, backup("m1"))
    world.book.away = False
    [refused] = link.refused
    assert (refused.id, refused.code, refused.temporary) == ("m1", "OVERLOADED", True)
    await world.say(link, backup("m1"))
    assert link.accepted == ["m1"]


async def test_the_database_lost_under_the_commit_is_a_refusal_for_now(world: World) -> None:
    link = await world.configured()
    world.book.held = trio.Event()
    await world.say(link, backup("m1"))
    world.book.away = True
    world.book.held.set()
    await world.settle_down()
    assert [(one.code, one.temporary) for one in link.refused] == [("OVERLOADED", True)]


async def test_a_bug_under_the_commit_loses_no_message(world: World) -> None:
    link = await world.configured()
    world.book.broken = RuntimeError("planted")
    await world.say(link, backup("m1"))
    world.book.broken = None
    assert [(one.code, one.temporary) for one in link.refused] == [("OVERLOADED", True)]
    assert link.open
    await world.say(link, backup("m1"))
    assert link.accepted == ["m1"]


async def test_the_books_refusal_is_for_good(world: World) -> None:
    link = await world.configured()
    await world.say(link, CommandResult("m1", "cmd_none", CommandResultStatus.FAILED))
    assert [(one.code, one.temporary) for one in link.refused] == [("NOT_FOUND", False)]


async def test_a_burst_is_answered_message_by_message(world: World) -> None:
    link = await world.configured()
    world.book.held = trio.Event()
    await world.say(link, *(backup(f"m{number}") for number in range(IN_HAND + 20)))
    assert len(link.refused) == 20
    assert all(one.temporary for one in link.refused)
    world.book.held.set()
    world.book.held = None
    await world.settle_down()
    assert link.open
    assert {one.id for one in link.refused} | set(link.accepted) == {f"m{number}" for number in range(IN_HAND + 20)}


# --- refused without asking the book -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"args_hash": "0" * 64}, "argsHash"),
        ({"tool_name": "file_read"}, "argsHash"),
        ({"tool_args": msgspec.Raw(b'{"path":"/etc"}')}, "argsHash"),
        ({"tool_args": msgspec.Raw(b'{"n":9007199254740993}')}, "toolArgs"),
        ({"tool_args": msgspec.Raw(b'{"path":"/etc","path":"/srv"}')}, "toolArgs"),
        ({"tool_args": msgspec.Raw(b'{"a":[{"b":1,"b":1}]}')}, "toolArgs"),
        ({"tool_args": msgspec.Raw(b'"\\ud800"')}, "toolArgs"),
        ({"tool_args": msgspec.Raw(b"[" * 5000 + b"]" * 5000)}, "toolArgs"),
        ({"tool_args": msgspec.Raw(b"not json")}, "toolArgs"),
        ({"human_readable": "a\0b"}, "humanReadable"),
        ({"agent_id": "\0"}, "agentId"),
    ],
)
async def test_a_request_whose_hash_or_text_is_wrong(world: World, values: dict[str, object], field: str) -> None:
    link = await world.configured()
    await world.say(link, world.wish("m1", **values))
    [refused] = link.refused
    assert (refused.id, refused.code, refused.temporary) == ("m1", "VALIDATION_ERROR", False)
    assert refused.message.startswith(field)
    assert "take" not in world.book.calls


async def test_the_hash_is_over_the_canonical_form(world: World) -> None:
    link = await world.configured()
    spaced = msgspec.Raw(b'{ "path" : "/srv", "depth": 1e1, "nul": "\\u0000" }')
    canonical = b'{"args":{"depth":10,"nul":"\\u0000","path":"/srv"},"tool":"file_delete"}'
    await world.say(link, world.wish("m1", tool_args=spaced, args_hash=hashlib.sha256(canonical).hexdigest()))
    assert link.accepted == ["m1"]


@pytest.mark.parametrize("version", [-1, 2**31, 2**80])
async def test_a_version_no_column_holds(world: World, version: int) -> None:
    link = await world.configured()
    await world.say(link, ConfigApplied("m1", version, "h", ok=True))
    assert [one.temporary for one in link.refused] == [False]


async def test_over_http_the_same_problem_is_a_fault(world: World) -> None:
    with pytest.raises(ValidationError) as refused:
        await world.ref.ask(TakeMessage(world.wish(args_hash="0" * 64)))
    assert [problem.field for problem in refused.value.details] == ["argsHash"]
    with pytest.raises(ValidationError):
        await world.ref.ask(TakeMessage(Usage("a\0", [])))


async def test_over_http_an_approval_is_answered_and_its_alarm_set(world: World) -> None:
    first = await world.ref.ask(TakeMessage(world.wish("m1", expires_in_seconds=60)))
    again = await world.ref.ask(TakeMessage(world.wish("m1", expires_in_seconds=60)))
    assert first.approval is not None
    assert (again.approval, again.repeated) == (first.approval, True)
    await trio.sleep(60.01)
    assert world.approval(first.approval).status == "EXPIRED"


# --- the end of time -----------------------------------------------------------------------------------------


async def test_an_approval_expires_at_its_time_exactly_and_is_told(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=60)
    await trio.sleep(59.99)
    assert link.said(ApprovalSettled) == []
    await trio.sleep(0.02)
    [frame] = link.said(ApprovalSettled)
    assert (frame.action, frame.approval_id) == (SettledAction.EXPIRE, approval.id)
    assert abs((frame.settled_at - approval.expires_at).total_seconds()) < 0.01


async def test_many_expire_each_at_its_own_time(world: World) -> None:
    link = await world.configured()
    lasts = [50, 20, 80, 35]
    approvals = [await world.asked(link, expires_in_seconds=seconds) for seconds in lasts]
    for seconds in sorted(lasts):
        await trio.sleep_until(trio.current_time() + 0.01)
        due = approvals[lasts.index(seconds)]
        wait = (due.expires_at - world.later()).total_seconds()
        await trio.sleep(wait + 0.01)
        assert [frame.approval_id for frame in link.said(ApprovalSettled)][-1] == due.id
    assert len(link.said(ApprovalSettled)) == 4


async def test_whoever_comes_too_late_reads_that_it_expired(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=60)
    world.book.away = True
    await trio.sleep(70)
    world.book.away = False
    with pytest.raises(Conflict) as refused:
        await world.decide(approval)
    assert refused.value.details.status == "EXPIRED"
    assert [frame.action for frame in link.said(ApprovalSettled)] == [SettledAction.EXPIRE]


async def test_an_expiry_waits_for_the_database(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=10)
    world.book.away = True
    await trio.sleep(30)
    assert world.approval(approval).status == "PENDING"
    world.book.away = False
    await trio.sleep(1.1)
    assert world.approval(approval).status == "EXPIRED"
    assert world.system.crashes() == []


async def test_a_settled_approval_rings_no_second_time(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=60)
    await world.decide(approval)
    await trio.sleep(70)
    assert world.approval(approval).status == "APPROVED"
    assert len(link.said(ApprovalSettled)) == 1


async def test_a_suspended_machine_finds_what_it_slept_through(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=3600)
    world.system.clock._start += (approval.expires_at - world.later()) + (world.later(hours=1) - world.later())  # type: ignore[attr-defined]
    await trio.sleep(301)
    assert world.approval(approval).status == "EXPIRED"
