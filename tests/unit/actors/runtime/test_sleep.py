"""Sleep and wake: who may sleep, what keeps awake, and that no message is lost in between."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.runtime import Actor, ActorSystem, Supervision
from tests.unit.actors.runtime.people import PATIENT, Bug, House, Say, Wait


@pytest.fixture
async def sleepy(system: ActorSystem) -> House:
    house = House(system)
    system.register("person", house.person, supervision=PATIENT, idle_seconds=100)
    return house


async def test_an_idle_actor_falls_asleep_and_the_next_message_wakes_it(sleepy: House) -> None:
    await sleepy.ref().ask(Say("hello"))
    await trio.sleep(99)
    assert sleepy.state() == "idle"
    await trio.sleep(2)
    assert sleepy.state() == "asleep"
    assert list(sleepy.system.living("person")) == []
    assert sleepy.diary().stops == 1
    assert await sleepy.ref().ask(Say("again")) == "ada: again"
    assert sleepy.diary().starts == 2


async def test_every_message_puts_sleep_off(sleepy: House) -> None:
    for _ in range(10):
        await sleepy.ref().ask(Say("hello"))
        await trio.sleep(90)
    assert sleepy.state() == "idle"
    assert sleepy.diary().starts == 1


async def test_sleep_comes_in_time_for_each_of_a_scattered_crowd(sleepy: House) -> None:
    for number in range(30):
        await sleepy.ref(str(number)).ask(Say("hello"))
        await trio.sleep(3)
    fell_asleep: dict[str, float] = {}
    began = trio.current_time() - 90
    while len(fell_asleep) < 30:
        await trio.sleep(1)
        for number in range(30):
            if sleepy.state(str(number)) == "asleep":
                fell_asleep.setdefault(str(number), trio.current_time() - began - 3 * number)
    assert min(fell_asleep.values()) >= 100
    assert max(fell_asleep.values()) <= 107


async def test_who_says_no_stays_awake_and_is_asked_again(sleepy: House) -> None:
    sleepy.diary().sleepless = True
    await sleepy.ref().ask(Say("hello"))
    await trio.sleep(500)
    assert sleepy.state() == "idle"
    sleepy.diary().sleepless = False
    await trio.sleep(101)
    assert sleepy.state() == "asleep"


async def test_a_pending_timer_keeps_awake_and_is_delivered(system: ActorSystem) -> None:
    class Sleeper(Actor):
        def __init__(self) -> None:
            self.got: list[object] = []

        def receive(self, message: object) -> object:
            self.got.append(message)
            if message == Say("wake me"):
                self.context.schedule(1_000, "ring")
            return list(self.got)

    system.register("sleeper", lambda _: Sleeper(), supervision=Supervision(), idle_seconds=10)
    sleeper = system.ref("sleeper", "x")
    await sleeper.ask(Say("wake me"))
    await trio.sleep(1_001)
    assert await sleeper.ask(Say("well?")) == [Say("wake me"), "ring", Say("well?")]
    await trio.sleep(30)
    assert list(system.living("sleeper")) == []


async def test_a_timer_can_be_cancelled(system: ActorSystem) -> None:
    heard: list[object] = []

    class Forgetful(Actor):
        def receive(self, message: object) -> object:
            heard.append(message)
            if message == "set":
                self.timer = self.context.schedule(10, "ring")
            if message == "cancel":
                self.timer.cancel()
                self.timer.cancel()
            return None

    system.register("forgetful", lambda _: Forgetful(), supervision=Supervision())
    for message in ("set", "cancel"):
        system.ref("forgetful", "x").tell(message)
    await trio.sleep(100)
    assert heard == ["set", "cancel"]


async def test_a_timer_waits_for_room_in_a_full_control_lane(house: House) -> None:
    """The lane holds three; the timer's message is not lost, it comes when there is room."""

    class Timed(Actor):
        def receive(self, message: object) -> object:
            heard.append(message)
            if message == "first":
                self.context.schedule(1, "timer")
                return gate.wait()
            return None

    heard: list[object] = []
    gate = trio.Event()
    house.system.register("timed", lambda _: Timed(), supervision=Supervision(), control_size=3)
    timed = house.system.ref("timed", "x")
    timed.tell("first")
    await trio.testing.wait_all_tasks_blocked(0.001)
    for number in range(3):
        timed.tell(number, control=True)
    await trio.sleep(5)
    assert heard == ["first"]
    gate.set()
    await trio.sleep(1)
    assert heard == ["first", 0, 1, 2, "timer"]
    assert house.system.dead_letters.count == 0


async def test_a_message_that_comes_while_falling_asleep_is_handled_by_the_woken(sleepy: House) -> None:
    diary = sleepy.diary()
    diary.stop_gate = trio.Event()
    await sleepy.ref().ask(Say("hello"))
    await trio.sleep(101)
    assert sleepy.state() == "falling asleep"
    assert sleepy.ref().tell(Say("told"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleepy.ref().ask, Say("asked"))
        await trio.testing.wait_all_tasks_blocked(0.001)
        assert diary.lines == ["hello"]
        diary.stop_gate.set()
    assert diary.lines == ["hello", "told", "asked"]
    assert (diary.starts, diary.stops) == (2, 1)


async def test_an_ask_withdrawn_while_falling_asleep_wakes_nobody(sleepy: House) -> None:
    diary = sleepy.diary()
    diary.stop_gate = trio.Event()
    await sleepy.ref().ask(Say("hello"))
    await trio.sleep(101)
    with trio.move_on_after(1):
        await sleepy.ref().ask(Say("never mind"))
    diary.stop_gate.set()
    await trio.sleep(1)
    assert sleepy.state() == "asleep"
    assert diary.starts == 1


async def test_at_work_is_not_idle(sleepy: House) -> None:
    gate = trio.Event()
    sleepy.ref().tell(Wait(gate))
    await trio.sleep(50)
    await sleepy.ref("bob").ask(Say("hello"))
    await trio.sleep(9)
    gate.set()
    await trio.sleep(95)
    assert sleepy.state("ada") == "idle"


async def test_a_failing_goodbye_does_not_hinder_sleep(system: ActorSystem) -> None:
    class Clumsy(Actor):
        def receive(self, message: object) -> object:
            return "here"

        async def stopped(self) -> None:
            raise Bug("stumbled")

    system.register("clumsy", lambda _: Clumsy(), supervision=Supervision(), idle_seconds=10)
    await system.ref("clumsy", "x").ask(Say("?"))
    await trio.sleep(11)
    assert list(system.living("clumsy")) == []
    assert await system.ref("clumsy", "x").ask(Say("?")) == "here"


async def test_a_goodbye_that_never_ends_is_cut_short(system: ActorSystem) -> None:
    house = House(system)
    system.register("person", house.person, supervision=PATIENT, idle_seconds=10, handler_seconds=5)
    house.diary().stop_gate = trio.Event()
    await house.ref().ask(Say("hello"))
    await trio.sleep(16)
    assert house.state() == "asleep"


async def test_an_error_about_sleep_is_a_crash(system: ActorSystem) -> None:
    class Insomniac(Actor):
        def receive(self, message: object) -> object:
            return "here"

        def asleep_allowed(self) -> bool:
            raise Bug("cannot say")

    system.register("insomniac", lambda _: Insomniac(), supervision=PATIENT, idle_seconds=10)
    await system.ref("insomniac", "x").ask(Say("?"))
    await trio.sleep(15)
    assert system.stats().kinds["insomniac"].counters["crashes"] == 1
    assert await system.ref("insomniac", "x").ask(Say("?")) == "here"


async def test_a_big_crowd_falls_asleep_some_at_a_time(sleepy: House) -> None:
    at_once = [0, 0]

    class Saver(Actor):
        def receive(self, message: object) -> object:
            return None

        async def stopped(self) -> None:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await trio.sleep(0.5)
            at_once[0] -= 1

    sleepy.system.register("saver", lambda _: Saver(), supervision=Supervision(), idle_seconds=10)
    for number in range(300):
        sleepy.system.ref("saver", str(number)).tell("hello")
    await trio.sleep(10.1)
    assert at_once[1] == 64
    await trio.sleep(10)
    assert list(sleepy.system.living("saver")) == []
    assert at_once == [0, 64]
