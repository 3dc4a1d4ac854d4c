"""The end of a system: new messages refused, work under way finished or cut off, everybody says goodbye."""

from __future__ import annotations

from time import perf_counter

import pytest
import trio
import trio.testing

from actors.runtime import Actor, ActorSystem, DeadReason, Stopped, Supervision
from tests.unit.actors.runtime.people import PATIENT, Bug, Crash, House, Say, StopYourself, Wait


async def open_house(system: ActorSystem) -> House:
    house = House(system)
    system.register("person", house.person, supervision=PATIENT)
    return house


async def test_what_was_accepted_is_handled_and_everybody_says_goodbye() -> None:
    async with ActorSystem.open() as system:
        house = await open_house(system)
        for name in ("ada", "bob"):
            for word in "abc":
                assert house.ref(name).tell(Say(word))
    for name in ("ada", "bob"):
        assert house.diary(name).lines == ["a", "b", "c"]
        assert house.diary(name).stops == 1
    assert system.dead_letters.count == 0
    assert list(system.living("person")) == []


async def test_a_stopped_system_refuses() -> None:
    async with ActorSystem.open() as system:
        house = await open_house(system)
        await system.stop()
        assert not house.ref().tell(Say("too late"))
        with pytest.raises(Stopped):
            await house.ref().ask(Say("too late"))
        assert system.dead_letters.counts[DeadReason.STOPPING] == 2
        await system.stop()


async def test_a_running_handler_gets_its_time() -> None:
    async with ActorSystem.open(stop_seconds=10) as system:
        house = await open_house(system)
        gate, begun = trio.Event(), trio.Event()
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await house.ref().ask(Wait(gate, begun)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await begun.wait()
            nursery.start_soon(system.stop)
            await trio.sleep(4)
            gate.set()
        assert answers == ["waited"]
        assert house.diary().stops == 1


async def test_beyond_its_time_a_handler_is_cut_off_and_its_asker_told() -> None:
    began = trio.current_time()
    async with ActorSystem.open(stop_seconds=10) as system:
        house = await open_house(system)
        begun = trio.Event()

        async def ask(message: Wait | Say) -> None:
            with pytest.raises(Stopped):
                await house.ref().ask(message, timeout_seconds=100)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Wait(trio.Event(), begun))
            await begun.wait()
            nursery.start_soon(ask, Say("behind it"))
            await trio.testing.wait_all_tasks_blocked(0.001)
            await system.stop()
        assert house.diary().lines == []
        assert house.diary().stops == 1
        counters = house.counters()
        assert counters["dropped"] == counters["accepted"] == 2
    assert trio.current_time() - began < 10


async def test_a_goodbye_that_never_ends_does_not_hold_up_the_end() -> None:
    began = trio.current_time()
    async with ActorSystem.open(stop_seconds=10) as system:
        house = await open_house(system)
        house.diary().stop_gate = trio.Event()
        await house.ref("ada").ask(Say("hello"))
        await house.ref("bob").ask(Say("hello"))
    assert trio.current_time() - began <= 10
    assert house.diary("bob").stops == 1
    assert list(system.living("person")) == []


async def test_goodbyes_are_said_some_at_a_time_and_the_last_kind_first() -> None:
    at_once = [0, 0]
    order: list[str] = []

    class Slow(Actor):
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def receive(self, message: object) -> object:
            return None

        async def stopped(self) -> None:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await trio.sleep(0.01)
            at_once[0] -= 1
            order.append(self.kind)

    async with ActorSystem.open() as system:
        for kind in ("below", "above"):
            system.register(kind, lambda _, kind=kind: Slow(kind), supervision=Supervision())
            for number in range(40):
                system.ref(kind, str(number)).tell("hello")
    assert at_once == [0, 16]
    assert order == ["above"] * 40 + ["below"] * 40


async def test_children_are_cancelled() -> None:
    ended: list[str] = []

    class Parent(Actor):
        def receive(self, message: object) -> object:
            self.context.spawn_child(self.work, "long", name="work")
            return None

        async def work(self, what: str) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(what)

    began = trio.current_time()
    async with ActorSystem.open() as system:
        system.register("parent", lambda _: Parent(), supervision=Supervision())
        await system.ref("parent", "x").ask(Say("go"))
    assert ended == ["long"]
    assert trio.current_time() - began < 0.01


async def test_who_backs_off_is_not_rebuilt_and_what_waits_is_buried() -> None:
    async with ActorSystem.open() as system:
        house = await open_house(system)
        house.ref().tell(Crash())
        house.ref().tell(Say("waits"))
        await trio.testing.wait_all_tasks_blocked(0.001)
        assert house.state() == "backing off"
    assert house.diary().starts == 1
    assert system.dead_letters.counts[DeadReason.ACTOR_STOPPED] == 1


async def test_who_crashes_while_the_system_stops_is_not_rebuilt() -> None:
    async with ActorSystem.open() as system:
        house = await open_house(system)
        for message in (Say("a"), Crash(), Say("b")):
            house.ref().tell(message)
    assert house.diary().starts == 1
    assert house.diary().lines == ["a"]
    assert house.counters()["dropped"] == 1


@pytest.mark.parametrize("how", ["sleep", "stop"])
async def test_what_came_during_a_goodbye_is_buried_when_the_system_stops(how: str) -> None:
    async with ActorSystem.open() as system:
        house = House(system)
        system.register("person", house.person, supervision=PATIENT, idle_seconds=10)
        house.diary().stop_gate = trio.Event()
        await house.ref().ask(Say("hello") if how == "sleep" else StopYourself())
        await trio.sleep(11)
        assert house.ref().tell(Say("came late"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop)
            await trio.sleep(1)
            house.diary().stop_gate.set()
    assert system.dead_letters.counts[DeadReason.ACTOR_STOPPED] == 1
    assert (house.diary().starts, house.diary().stops) == (1, 1)
    counters = house.counters()
    assert counters["accepted"] == counters["handled"] + counters["dropped"] == 2


async def test_an_error_of_the_block_stops_the_system_and_is_raised_as_it_is() -> None:
    houses: list[House] = []

    async def fail() -> None:
        async with ActorSystem.open() as system:
            houses.append(await open_house(system))
            await houses[0].ref().ask(Say("hello"))
            raise Bug("in the block")

    with pytest.raises(Bug, match="in the block"):
        await fail()
    assert houses[0].diary().stops == 1


async def test_a_cancelled_block_still_stops_the_system_in_order() -> None:
    with trio.move_on_after(5) as scope:
        async with ActorSystem.open() as system:
            house = await open_house(system)
            await house.ref().ask(Say("hello"))
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert house.diary().stops == 1


async def test_a_cancelled_stop_is_seen_through() -> None:
    async with ActorSystem.open() as system:
        house = await open_house(system)
        await house.ref().ask(Say("hello"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await system.stop()
        assert house.diary().stops == 1


@pytest.mark.parametrize("awake", [False, True])
async def test_without_any_time_to_stop_everything_is_buried(awake: bool) -> None:
    async with ActorSystem.open(stop_seconds=0) as system:
        house = await open_house(system)
        for number in range(2_000):
            if awake:
                await house.ref(str(number)).ask(Say("hello"))
        for number in range(2_000):
            house.ref(str(number)).tell(Wait(trio.Event()))
    counters = house.counters()
    assert counters["accepted"] == counters["handled"] + counters["dropped"]
    assert counters["dropped"] == system.dead_letters.count == 2_000
    assert list(system.living("person")) == []


async def test_once_the_tasks_are_cancelled_nobody_gets_a_turn() -> None:
    """The queue is long, its handlers heavy; the one at its end would need a task when there are none any more."""

    class Heavy(Actor):
        def receive(self, message: object) -> object:
            until = perf_counter() + 0.003  # longer than the dispatcher goes on without a pause
            while perf_counter() < until:
                pass
            return None

    async with ActorSystem.open(stop_seconds=0) as system:
        house = await open_house(system)
        system.register("heavy", lambda _: Heavy(), supervision=Supervision())
        for number in range(20):
            await system.ref("heavy", str(number)).ask(Say("wake up"))
        for number in range(20):
            system.ref("heavy", str(number)).tell("burn")
        house.ref().tell(Say("last in the queue"))
    assert house.diary().starts == 0
    assert system.dead_letters.counts[DeadReason.ACTOR_STOPPED] >= 1


async def test_nobody_is_left_behind() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with ActorSystem.open() as system:
        house = await open_house(system)
        for number in range(20):
            house.ref(str(number)).tell(Wait(trio.Event()))
        await trio.testing.wait_all_tasks_blocked(0.001)
        assert system.stats().tasks == 20
    assert trio.lowlevel.current_statistics().tasks_living == before
