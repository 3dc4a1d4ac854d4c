"""Telling and asking: answers, refusals, deadlines, lanes, bounds, and no task for who is idle."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.runtime import Actor, ActorSystem, AskTimeout, DeadReason, MailboxFull, Supervision
from tests.unit.actors.runtime.people import House, Later, Refuse, Refused, Say, Wait


async def test_the_first_message_wakes_the_actor_and_is_answered(house: House) -> None:
    assert house.state() == "asleep"
    assert await house.ref().ask(Say("hello")) == "ada: hello"
    assert house.diary().starts == 1
    assert list(house.system.living("person")) == ["ada"]


async def test_an_idle_actor_holds_no_task(house: House) -> None:
    await house.ref().ask(Later(Say("one")))
    await house.ref().ask(Say("two"))
    await trio.testing.wait_all_tasks_blocked()
    assert house.state() == "idle"
    assert house.system.stats().tasks == 0


async def test_a_plain_answer_starts_no_task(house: House) -> None:
    await house.ref().ask(Say("awake"))
    before = trio.lowlevel.current_statistics().tasks_living
    for number in range(5):
        assert house.ref().tell(Say(str(number)))
    assert house.system.stats().tasks == 0
    await house.ref().ask(Say("last"))
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert house.diary().lines == ["awake", "0", "1", "2", "3", "4", "last"]


async def test_an_awaited_handler_keeps_the_order(house: House) -> None:
    for message in (Say("a"), Later(Say("b"), 5), Say("c"), Later(Say("d")), Say("e")):
        assert house.ref().tell(message)
    await house.ref().ask(Say("f"))
    assert house.diary().lines == ["a", "b", "c", "d", "e", "f"]


async def test_an_async_receive_works_as_well(system: ActorSystem) -> None:
    class Slow(Actor):
        async def receive(self, message: object) -> object:
            await trio.sleep(1)
            return message

    system.register("slow", lambda _: Slow(), supervision=Supervision())
    assert await system.ref("slow", "x").ask(Say("y")) == Say("y")


async def test_a_refusal_is_an_answer(house: House) -> None:
    for message in (Refuse("not now"), Later(Refuse("not now"))):
        with pytest.raises(Refused, match="not now"):
            await house.ref().ask(message)
    assert house.ref().tell(Refuse("told"))
    await house.ref().ask(Say("still here"))
    assert house.diary().starts == 1
    assert house.counters()["refused"] == 3
    assert house.counters()["crashed"] == 0


async def test_a_refusal_alone_in_a_group_of_tasks_is_an_answer(system: ActorSystem) -> None:
    class Grouping(Actor):
        async def receive(self, message: object) -> object:
            async with trio.open_nursery():
                raise Refused("inside")

    system.register("grouping", lambda _: Grouping(), supervision=Supervision())
    with pytest.raises(Refused, match="inside"):
        await system.ref("grouping", "x").ask(Say("y"))


async def test_who_asks_a_busy_actor_passes_its_trouble_on_without_crashing(system: ActorSystem, house: House) -> None:
    class Middle(Actor):
        async def receive(self, message: object) -> object:
            return await house.ref().ask(Wait(trio.Event()), timeout_seconds=2)

    system.register("middle", lambda _: Middle(), supervision=Supervision())
    with pytest.raises(AskTimeout, match="person/ada was still at work after 2 s"):
        await system.ref("middle", "x").ask(Say("go"))
    assert system.stats().kinds["middle"].counters["crashed"] == 0


async def test_control_goes_first(house: House) -> None:
    gate = trio.Event()
    begun = trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    for word in ("a", "b"):
        house.ref().tell(Say(word))
    for word in ("first", "second"):
        house.ref().tell(Say(word), control=True)
    gate.set()
    await house.ref().ask(Say("c"))
    assert house.diary().lines == ["waited", "first", "second", "a", "b", "c"]


async def test_a_full_lane_takes_no_more_and_the_other_still_does(house: House) -> None:
    begun = trio.Event()
    gate = trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    assert all(house.ref().tell(Say(str(number))) for number in range(8))
    assert not house.ref().tell(Say("too many"))
    with pytest.raises(MailboxFull):
        await house.ref().ask(Say("too many"))
    assert all(house.ref().tell(Say("!"), control=True) for _ in range(3))
    assert not house.ref().tell(Say("!"), control=True)
    assert house.system.dead_letters.counts[DeadReason.FULL] == 3
    assert house.counters()["turned_away"] == 3
    gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert len(house.diary().lines) == 12


async def test_an_expired_ask_that_has_not_begun_is_skipped(house: House) -> None:
    gate, begun = trio.Event(), trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    with pytest.raises(AskTimeout, match="had not begun after 3 s") as caught:
        await house.ref().ask(Say("too late"), timeout_seconds=3)
    assert not caught.value.begun
    gate.set()
    await house.ref().ask(Say("in time"))
    assert house.diary().lines == ["waited", "in time"]
    assert house.counters()["expired"] == 1
    assert house.system.dead_letters.counts[DeadReason.EXPIRED] == 1


async def test_an_ask_without_any_time_is_never_begun(house: House) -> None:
    with pytest.raises(AskTimeout):
        await house.ref().ask(Say("never"), timeout_seconds=0)
    await house.ref().ask(Say("yes"))
    assert house.diary().lines == ["yes"]


async def test_a_deadline_that_passes_while_the_loop_is_held_up_counts_too(
    system: ActorSystem,
) -> None:
    """The asker's own alarm has not rung yet when its turn comes: the dispatcher looks at the clock itself."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    handled: list[object] = []

    class HoldsUp(Actor):
        def receive(self, message: object) -> object:
            handled.append(message)
            if message == "hold up":
                clock.jump(2)
            return None

    system.register("slow", lambda _: HoldsUp(), supervision=Supervision())
    slow = system.ref("slow", "x")
    await slow.ask(Say("awake"))
    slow.tell("hold up")
    with pytest.raises(AskTimeout, match="had not begun after 1 s"):
        await slow.ask(Say("too late"), timeout_seconds=1)
    assert handled == [Say("awake"), "hold up"]
    assert system.stats().kinds["slow"].counters["expired"] == 1


async def test_an_expired_ask_that_has_begun_runs_to_its_end(house: House) -> None:
    gate = trio.Event()
    with pytest.raises(AskTimeout) as caught:
        await house.ref().ask(Wait(gate), timeout_seconds=3)
    assert caught.value.begun
    gate.set()
    await house.ref().ask(Say("next"))
    assert house.diary().lines == ["waited", "next"]
    assert house.counters()["expired"] == 0


async def test_a_cancelled_asker_takes_its_message_back_unless_it_has_begun(house: House) -> None:
    gate, begun = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.ref().ask, Wait(gate, begun))
        await begun.wait()
        nursery.start_soon(house.ref().ask, Say("not begun"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    gate.set()
    await house.ref().ask(Say("next"))
    assert house.diary().lines == ["waited", "next"]
    assert house.counters()["abandoned"] == 1
    assert house.system.dead_letters.counts[DeadReason.ABANDONED] == 1


async def test_abandoned_asks_leave_room_in_the_mailbox(house: House) -> None:
    gate, begun = trio.Event(), trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(house.ref().ask, Say("gone"))
        await trio.testing.wait_all_tasks_blocked()
        assert not house.ref().tell(Say("no room"))
        nursery.cancel_scope.cancel()
    assert all(house.ref().tell(Say("room")) for _ in range(8))
    gate.set()


async def test_a_chatty_actor_leaves_the_others_their_turn(system: ActorSystem) -> None:
    turns: list[str] = []

    class Chatty(Actor):
        def receive(self, message: object) -> object:
            turns.append("chatty")
            if 1 < len(turns) < 10_000:
                self.context.ref.tell(message)

    class Quiet(Actor):
        def receive(self, message: object) -> object:
            return len(turns)

    system.register("chatty", lambda _: Chatty(), supervision=Supervision())
    system.register("quiet", lambda _: Quiet(), supervision=Supervision())
    for kind in ("chatty", "quiet"):
        await system.ref(kind, "x").ask(Say("wake up"))
    system.ref("chatty", "x").tell("go")
    assert await system.ref("quiet", "x").ask(Say("when?")) < 200


async def test_an_actor_handles_one_message_at_a_time(system: ActorSystem) -> None:
    at_once: list[int] = [0, 0]

    class Careful(Actor):
        async def receive(self, message: object) -> object:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await trio.sleep(0.01)
            at_once[0] -= 1

    system.register("careful", lambda _: Careful(), supervision=Supervision())
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(system.ref("careful", "x").ask, Say("go"))
    assert at_once == [0, 1]


async def test_references_are_addresses(house: House) -> None:
    assert house.ref("ada") == house.ref("ada")
    assert len({house.ref("ada"), house.ref("ada"), house.ref("bob")}) == 2
    assert house.ref("ada").path == "person/ada"
    assert repr(house.ref("ada")) == "Ref('person/ada')"
    assert list(house.system.living("person")) == []
    with pytest.raises(LookupError, match="no actors of kind 'robot'"):
        house.system.ref("robot", "x")


async def test_a_kind_is_registered_once_and_with_sane_bounds(house: House) -> None:
    with pytest.raises(ValueError, match="registered already"):
        house.system.register("person", house.person, supervision=Supervision())
    with pytest.raises(ValueError, match="at least 1"):
        house.system.register("nobody", house.person, supervision=Supervision(), mailbox_size=0)
    with pytest.raises(ValueError, match="no name"):
        house.system.register("a/b", house.person, supervision=Supervision())
