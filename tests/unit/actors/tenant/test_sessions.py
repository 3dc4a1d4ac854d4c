"""A wrapper's session: hello, presence, replacement, keys, crashes, sleep."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.runtime.errors import ActorCrashed
from actors.tenant.messages import Attach, Detached, IssueCommand, Wake
from protocol.ids import format_id
from protocol.tenant import Ack, CloseCode, ConfigOffered, Heartbeat, Hello, Reply
from protocol.words import ApprovalStatus
from tests.unit.actors.tenant.world import ADA, KEY, Nonsense, RecordingLink, World


async def test_hello_is_answered_by_welcome_and_the_configuration(world: World) -> None:
    link = await world.connect()
    welcome = link.welcome
    assert (welcome.protocol, welcome.epoch, welcome.resumed_from, welcome.config_version) == (1, 1, 0, 1)
    assert welcome.session_id == f"{world.name}/1"
    assert welcome.heartbeat_seconds == 30
    assert link.frame_limit == welcome.max_frame_bytes == 1024 * 1024
    assert [type(frame) for frame in link.frames[1:]] == [ConfigOffered]
    assert world.machine.session_id is not None
    assert world.shown["connected"] is True


async def test_no_common_protocol(world: World) -> None:
    link = await world.connect(protocol_min=2, protocol_max=9)
    assert (link.closed_with, link.frames) == (CloseCode.NO_COMMON_PROTOCOL, [])
    assert world.machine.epoch == 0


async def test_a_hello_that_cannot_be_stored_breaks_the_protocol_and_nothing_else(world: World) -> None:
    link = await world.connect(wrapper_version="1\0")
    assert link.closed_with == CloseCode.BROKE_PROTOCOL
    assert "wrapperVersion" in link.reason
    assert world.system.crashes() == []


async def test_a_claim_of_what_was_never_promised(world: World) -> None:
    link = await world.connect(last_seq=7)
    assert (link.closed_with, world.machine.epoch) == (CloseCode.BROKE_PROTOCOL, 0)


async def test_a_key_revoked_between_handshake_and_hello(world: World) -> None:
    await world.revoke()
    assert (await world.connect()).closed_with == CloseCode.KEY_REVOKED


async def test_a_key_replaced_between_handshake_and_hello(world: World) -> None:
    link = await world.connect(key="ffffffffffff")
    assert link.closed_with == CloseCode.KEY_REVOKED
    assert world.shown["connected"] is False


async def test_the_database_away_at_hello_sends_the_wrapper_back_for_another_try(world: World) -> None:
    await world.configured()
    world.book.away = True
    link = await world.connect(boot_id="boot")
    assert link.closed_with == CloseCode.RESTARTING
    assert world.shown["connected"] is True, "the session that works is kept"


async def test_the_database_away_while_the_tenant_wakes(world: World) -> None:
    world.book.away = True
    link = await world.connect()
    assert link.frames == []
    world.book.away = False
    await trio.sleep(5)
    assert link.welcome.epoch == 1, "hello is not lost"


async def test_a_second_hello(world: World) -> None:
    link = await world.configured()
    await world.say(link, Hello(1, 1, "1", "b"))
    assert link.closed_with == CloseCode.BROKE_PROTOCOL


async def test_a_link_that_closed_before_its_hello_was_heard(world: World) -> None:
    link = RecordingLink(world.ref, open=False)
    world.ref.tell(Attach(link, Hello(1, 1, "1", "b"), KEY), control=True)
    await world.settle_down()
    assert world.shown["connected"] is False
    assert world.machine.session_id is None
    assert "attach" not in world.book.calls, "in a storm, those who have left again cost nothing"


async def test_a_hello_that_waits_too_long_is_sent_back_and_takes_no_session(world: World) -> None:
    await world.ref.ask(Wake(overdue=False))
    world.book.held = trio.Event()
    world.ref.tell(Attach(link := RecordingLink(world.ref), Hello(1, 1, "1", "b"), KEY), control=True)
    await trio.sleep(14)
    assert link.open
    await trio.sleep(2)
    assert link.closed_with == CloseCode.RESTARTING
    world.book.held.set()
    world.book.held = None
    await world.settle_down()
    assert world.machine.session_id is None
    assert (await world.connect()).welcome.epoch == 1


# --- presence ------------------------------------------------------------------------------------------------


async def test_a_wrapper_silent_for_three_heartbeats_is_gone(world: World) -> None:
    link = await world.configured()
    await trio.sleep(89.9)
    assert link.open
    await trio.sleep(0.2)
    assert link.closed_with == CloseCode.SILENT
    assert world.machine.session_id is None
    assert world.shown["connected"] is False


async def test_any_frame_proves_life(world: World) -> None:
    link = await world.configured()
    for frame in (Heartbeat("ok"), Ack(1), world.wish(), Reply("q", True)):
        await trio.sleep(60)
        await world.say(link, frame)
    await trio.sleep(89)
    assert link.open
    await trio.sleep(2)
    assert link.closed_with == CloseCode.SILENT


async def test_a_busy_tenant_does_not_take_a_talking_wrapper_for_silent(world: World) -> None:
    link = await world.configured()
    await trio.sleep(55)
    world.book.held = trio.Event()
    world.ref.tell(IssueCommand("RESTART", {}, 3600, ADA))
    await trio.sleep(38)
    await world.say(link, Heartbeat("ok"))  # waits behind the command, as does the look at the clock
    world.book.held.set()
    world.book.held = None
    await world.settle_down()
    assert link.open
    await trio.sleep(91)
    assert link.closed_with == CloseCode.SILENT


async def test_a_close_nobody_told_of_is_found(world: World) -> None:
    link = await world.configured()
    link.open = False
    await trio.sleep(100)
    assert world.shown["connected"] is False


async def test_a_heartbeat_is_kept_the_latest_only_and_one_that_cannot_be_is_let_go(world: World) -> None:
    link = await world.configured()
    await world.say(link, Heartbeat("degraded", safety_wrapper_version="2"))
    assert world.machine.heartbeat is not None
    assert (world.machine.heartbeat.body.status, world.machine.heartbeat.carrier) == ("degraded", "socket")
    await world.say(link, Heartbeat("ok", safety_wrapper_version="2\0"), Heartbeat("ok", config_version=2**80))
    assert world.machine.heartbeat.body.status == "degraded"
    assert link.open


# --- replacement ---------------------------------------------------------------------------------------------


async def test_a_newer_session_replaces_the_older(world: World) -> None:
    older = await world.configured()
    newer = await world.connect()
    assert (older.closed_with, newer.open) == (CloseCode.REPLACED, True)
    assert newer.welcome.epoch == 2
    assert world.machine.session_id is not None, "the older one's end does not end the newer"
    assert "server.key_used_twice" not in world.actions, "the same boot: it only reconnects"


async def test_two_wrappers_on_one_key_are_told_to_staff_but_not_all_day(world: World) -> None:
    await world.connect(boot_id="one")
    for turn in range(10):
        await trio.sleep(60)
        link = await world.connect(boot_id=("two", "one")[turn % 2])
        await world.say(link, Heartbeat("ok"))
        link.last_received_at += 59  # it speaks until the other comes
    assert world.actions.count("server.key_used_twice") == 1
    await trio.sleep(121)
    link.last_received_at = trio.current_time()
    await world.connect(boot_id="three")
    assert world.actions.count("server.key_used_twice") == 2


async def test_a_wrapper_back_from_a_power_cut_is_no_second_wrapper(world: World) -> None:
    ghost = await world.connect(boot_id="before the cut")
    await trio.sleep(46)
    await world.connect(boot_id="after the cut")
    assert ghost.closed_with == CloseCode.REPLACED
    assert "server.key_used_twice" not in world.actions


async def test_frames_of_a_replaced_link_are_nobodys(world: World) -> None:
    older = await world.configured()
    await world.connect()
    await world.say(older, world.wish())
    assert world.ledger.approvals == {}


# --- keys ----------------------------------------------------------------------------------------------------


async def test_a_revoked_key_closes_its_socket_at_once_and_its_frames_count_no_more(world: World) -> None:
    link = await world.configured()
    await world.revoke()
    assert link.closed_with == CloseCode.KEY_REVOKED
    await world.say(link, world.wish())
    assert world.ledger.approvals == {}
    assert world.machine.session_id is None


async def test_a_new_registration_closes_the_former_keys_socket(world: World) -> None:
    link = await world.configured()
    world.book.issue_token(world.ledger.id, "rt_1", at=world.later())
    await world.register("rt_1", "ffffffffffff")
    assert link.closed_with == CloseCode.KEY_REVOKED
    assert (await world.connect()).closed_with == CloseCode.KEY_REVOKED
    assert (await world.connect(key="ffffffffffff")).open


# --- crash, sleep, stop --------------------------------------------------------------------------------------


async def test_a_crash_closes_the_link_at_once_and_the_wrapper_resumes(world: World) -> None:
    link = await world.configured()
    await world.command()
    with pytest.raises(ActorCrashed):
        await world.ref.ask(Nonsense())
    assert link.closed_with == CloseCode.RESTARTING
    assert world.machine.session_id is None, "offline at once"
    again = await world.connect(last_seq=1)
    await trio.sleep(1)
    assert (again.welcome.epoch, again.seqs) == (2, [2])


async def test_a_crash_loses_no_alarm(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=100)
    with pytest.raises(ActorCrashed):
        await world.ref.ask(Nonsense())
    await trio.sleep(101)
    assert world.approval(approval).status == "EXPIRED"


async def test_an_idle_tenant_sleeps_and_holds_no_timer(world: World) -> None:
    link = await world.configured()
    world.ref.tell(Detached(link, 1001), control=True)
    await world.settle_down()
    before = world.system.stats().timers
    await trio.sleep(700)
    assert world.state == "asleep"
    assert world.system.stats().timers <= before
    link = await world.connect()
    assert link.welcome.epoch == 2


async def test_a_connected_tenant_does_not_sleep(world: World) -> None:
    link = await world.configured()
    for _ in range(40):
        await trio.sleep(30)
        await world.say(link, Heartbeat("ok"))
    assert world.state == "idle"
    assert link.open


async def test_what_is_due_keeps_a_tenant_awake_and_wakes_one_at_the_hubs_start(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=5000)
    link.close(1001)
    await trio.sleep(1000)
    assert world.state == "idle"
    [moment] = [one.expires_at for one in world.ledger.approvals.values()]
    assert world.shown["nextDue"] == moment.isoformat()
    await trio.sleep(4001)
    assert world.approval(approval).status == "EXPIRED"
    other = world.registered()
    expired = world.approval(approval)
    other.approvals[world.book._ids.uuid7()] = msgspec.structs.replace(
        expired, status=ApprovalStatus.PENDING, settled_at=None, expires_at=world.later(seconds=10)
    )
    world.system.ref("tenant", format_id("ord", other.id)).tell(Wake())
    await trio.sleep(9.9)
    assert [one.status for one in other.approvals.values()] == ["PENDING"]
    await trio.sleep(0.2)
    assert [one.status for one in other.approvals.values()] == ["EXPIRED"]


async def test_a_missed_alarm_is_made_good_by_the_sweep(world: World) -> None:
    link = await world.configured()
    approval = await world.asked(link, expires_in_seconds=100)
    seen = world.system._directory.find(world.ref.path)
    assert seen is not None
    actor = seen[0].cells[world.name].actor
    actor._alarm.clear()  # type: ignore[union-attr]
    await trio.sleep(80)
    await world.say(link, Heartbeat("ok"))
    await trio.sleep(21)
    assert world.approval(approval).status == "PENDING"
    world.ref.tell(Wake(overdue=True))
    await world.settle_down()
    assert world.approval(approval).status == "EXPIRED"


async def test_at_the_hubs_end_wrappers_are_sent_to_reconnect(world: World) -> None:
    link = await world.configured()
    await world.system.stop()
    assert link.closed_with == CloseCode.RESTARTING
    assert world.machine.session_id is None


async def test_explain_hides_what_is_secret(world: World) -> None:
    world.book.issue_token(world.ledger.id, "rt_planted_canary", at=world.later())
    await world.register("rt_planted_canary", "eeeeeeeeeeee")
    assert "planted_canary" not in repr(world.system.explain(world.ref.path))
