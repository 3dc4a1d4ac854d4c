"""Promises to a live wrapper: pushed after the commit, in order, within the window, again after a reconnect."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.people import Scope
from actors.tenant.changes import DeployAgent
from actors.tenant.live import WINDOW
from actors.tenant.messages import ChangeAgents
from protocol.faults import Conflict, NotFound, Overloaded
from protocol.tenant import Ack, ApprovalSettled, CloseCode, Command, ConfigOffered
from protocol.words import ApprovalAction
from tests.unit.actors.tenant.world import ADA, CAPABILITIES, World


async def test_a_decision_reaches_the_wrapper_in_the_same_breath(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    settled = await world.decide(approval, ApprovalAction.DENY)
    assert settled.status == "DENIED"
    [frame] = link.said(ApprovalSettled)
    assert (frame.seq, frame.approval_id, frame.action) == (2, approval.id, "deny")


async def test_nothing_is_said_before_it_is_committed(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    world.book.held = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.decide, approval)
        await world.settle_down()
        assert link.said(ApprovalSettled) == []
        world.book.held.set()
    assert len(link.said(ApprovalSettled)) == 1


async def test_a_decision_that_was_not_committed_is_not_said(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    world.book.away = True
    with pytest.raises(Overloaded):
        await world.decide(approval)
    world.book.away = False
    await trio.sleep(10)
    assert link.said(ApprovalSettled) == []
    assert (await world.decide(approval)).status == "APPROVED"


async def test_the_second_decision_is_told_who_won_and_pushes_nothing(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    won = await world.decide(approval)
    with pytest.raises(Conflict) as refused:
        await world.decide(approval, ApprovalAction.DENY)
    assert refused.value.details == won
    assert len(link.said(ApprovalSettled)) == 1


async def test_decided_while_the_wrapper_was_away_arrives_when_it_is_back(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    link.close(1001)
    await world.decide(approval)
    command = await world.command()
    back = await world.connect(last_seq=1)
    assert [type(frame) for frame in back.frames[1:]] == [ApprovalSettled, Command]
    assert back.seqs == [2, 3]
    await world.say(back, Ack(3))
    assert world.status(command) == "ACKNOWLEDGED"


async def test_resume_begins_after_what_both_know(world: World) -> None:
    link = await world.configured()
    for _ in range(5):
        await world.command()
    await world.say(link, Ack(3))
    link.close(1006)
    assert (await world.connect(last_seq=5)).seqs == [6], "journalled, though its ack was lost"
    assert (await world.connect(last_seq=0)).seqs == [6], "a lost journal is not played what was acknowledged"


async def test_the_window_holds_back_what_is_not_acknowledged(world: World) -> None:
    link = await world.configured()
    commands = [await world.command() for _ in range(WINDOW * 2)]
    assert link.seqs[1:] == list(range(2, WINDOW + 2))
    await world.say(link, Ack(2))
    assert len(link.seqs) == WINDOW + 1, "pages are loaded, not single promises"
    await world.say(link, Ack(WINDOW // 2 + 1))
    assert link.seqs[-1] == WINDOW + 1 + WINDOW // 2
    await world.say(link, Ack(link.seqs[-1]))
    assert link.seqs == list(range(1, WINDOW * 2 + 2))
    assert [world.status(command) for command in commands[-2:]] == ["SENT", "SENT"]
    await world.say(link, Ack(WINDOW * 2 + 1))
    assert {world.status(command) for command in commands} == {"ACKNOWLEDGED"}


async def test_large_promises_come_a_page_at_a_time(world: World) -> None:
    link = await world.configured()
    link.close(1001)
    for _ in range(6):
        await world.command(payload={"text": "x" * 100_000})
    back = await world.connect(last_seq=1)
    assert back.seqs == [2, 3]
    await world.say(back, Ack(3))
    assert back.seqs == [2, 3, 4, 5]


async def test_an_ack_of_what_was_not_sent_breaks_the_protocol(world: World) -> None:
    link = await world.configured()
    await world.say(link, Ack(2))
    assert link.closed_with == CloseCode.BROKE_PROTOCOL
    assert world.machine.acked_seq == 1


async def test_an_old_ack_is_old_news(world: World) -> None:
    link = await world.configured()
    await world.command()
    await world.say(link, Ack(2), Ack(1), Ack(0), Ack(2))
    assert (link.open, world.machine.acked_seq) == (True, 2)


# --- withdrawn -----------------------------------------------------------------------------------------------


async def test_a_command_that_expired_while_the_wrapper_was_away_travels_as_void(world: World) -> None:
    link = await world.configured()
    link.close(1001)
    command = await world.command(expires_in_seconds=60)
    kept = await world.command(expires_in_seconds=3600)
    await trio.sleep(59.9)
    assert world.status(command) == "QUEUED"
    await trio.sleep(0.2)
    assert world.status(command) == "EXPIRED"
    back = await world.connect(last_seq=1)
    assert (back.seqs, back.voids) == ([2, 3], [2])
    assert back.said(Command)[0].id == kept.id


async def test_a_cancelled_command_travels_as_void(world: World) -> None:
    link = await world.configured()
    link.close(1001)
    command = await world.command()
    assert (await world.cancel(command)).status == "CANCELLED"
    with pytest.raises(Conflict):
        await world.cancel(command)
    assert (await world.connect(last_seq=1)).voids == [2]


async def test_an_older_offer_travels_as_void(world: World) -> None:
    link = await world.connect()
    link.close(1001)
    change = ChangeAgents(DeployAgent(role="it-admin"), ADA, Scope.everything())
    assert (await world.ref.ask(change)).config_version == 2
    back = await world.connect(config_version=0)
    assert back.voids == [1]
    assert [frame.config_version for frame in back.said(ConfigOffered)] == [2]


# --- capabilities --------------------------------------------------------------------------------------------


async def test_a_command_the_wrapper_cannot_take_is_rejected_and_void(world: World) -> None:
    link = await world.connect(capabilities=["approvalSettled", "configOffered"])
    command = await world.command()
    assert world.status(command) == "REJECTED"
    assert (link.seqs, link.voids, link.said(Command)) == ([1, 2], [2], [])
    await world.say(link, Ack(2))
    assert link.open


async def test_nothing_is_sent_that_was_not_announced(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    link.close(1001)
    await world.decide(approval)
    command = await world.command()
    bare = await world.connect(capabilities=[], last_seq=1)
    assert (bare.seqs, bare.voids) == ([2, 3], [2, 3])
    assert world.status(command) == "REJECTED"
    full = await world.connect(capabilities=CAPABILITIES, last_seq=1)
    assert full.voids == [2, 3], "withdrawn stays withdrawn"


# --- the database away ---------------------------------------------------------------------------------------


async def test_what_is_committed_is_the_answer_though_the_push_must_wait(world: World) -> None:
    link = await world.configured()
    link.close(1001)
    approval = await world.asked(await world.connect(last_seq=1))
    await world.command()
    # A promise made elsewhere makes the next push load a page, and that fails.
    later = world.later()
    world.ledger.promise(lambda seq: Command(seq, "cmd_x", "X", msgspec.Raw(b"{}"), later, later))
    world.book.away_for = {"deliveries"}
    settled = await world.decide(approval)
    assert settled.status == "APPROVED", "the person's decision stands and is answered"
    live = world.shown
    assert live["sentSeq"] < live["issuedSeq"]
    world.book.away_for = set()
    await trio.sleep(1.1)
    assert world.shown["sentSeq"] == world.shown["issuedSeq"], "and is pushed when the database is back"


async def test_the_page_after_an_ack_is_tried_again(world: World) -> None:
    link = await world.configured()
    for _ in range(WINDOW + 10):
        await world.command()
    world.book.away = True
    await world.say(link, Ack(WINDOW + 1))
    assert link.seqs[-1] == WINDOW + 1
    await trio.sleep(5)
    world.book.away = False
    await trio.sleep(1.1)
    assert link.seqs[-1] == WINDOW + 11


async def test_the_page_after_hello_is_tried_again(world: World) -> None:
    world.book.away_for = {"deliveries"}
    link = await world.connect()
    assert link.seqs == []
    world.book.away_for = set()
    await trio.sleep(1.1)
    assert link.seqs == [1]


async def test_a_retry_ends_with_its_session(world: World) -> None:
    link = await world.configured()
    for _ in range(WINDOW + 10):
        await world.command()
    world.book.away = True
    await world.say(link, Ack(WINDOW + 1))
    link.close(1001)
    world.book.away = False
    loads = world.book.calls.count("deliveries")
    await trio.sleep(10)
    assert world.book.calls.count("deliveries") == loads


async def test_answers_while_the_database_is_away(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link)
    command = await world.command()
    world.book.away = True
    for attempt in (world.decide(approval), world.command(), world.cancel(command), world.revoke()):
        with pytest.raises(Overloaded):
            await attempt
    assert world.system.crashes() == []
    assert link.open


async def test_an_unknown_order_has_no_tenant_to_command(world: World) -> None:
    world.ledger.machine = None
    with pytest.raises(NotFound):
        await world.command()
