"""Children, timers, watches and ends: what an actor starts and who hears of it when it stops."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorSystem,
    DeadReason,
    EndReason,
    Escalation,
    Supervision,
    Terminated,
)
from tests.unit.actors.runtime.people import PATIENT, Bug, Crash, House, Say, StopYourself, Wait

STRICT = Supervision(
    max_restarts=3,
    within_seconds=60,
    backoff_initial_seconds=1,
    backoff_max_seconds=3,
    jitter=0,
    cool_down_seconds=30,
)


@pytest.fixture
def told() -> list[Escalation]:
    return []


@pytest.fixture
async def strict(system: ActorSystem, told: list[Escalation]) -> House:
    house = House(system)
    system.register("person", house.person, supervision=STRICT, on_escalation=told.append)
    return house


class Parent(Actor):
    """Starts children by name; `log` outlives it."""

    def __init__(self, log: list[str], gate: trio.Event) -> None:
        self.log = log
        self.gate = gate
        self.child = None

    def receive(self, message: object) -> object:
        if message == "crash":
            raise Bug("parent")
        if message == "stop":
            self.context.stop()
        if message == "timer":
            self.context.schedule(50, "tick")
        if message in ("work", "fail", "cling"):
            self.child = self.context.spawn_child(self.work, str(message), name=str(message))
        if message == "cancel":
            self.child.cancel()
        self.log.append(str(message))
        return self.context.children

    async def work(self, how: str) -> None:
        try:
            with trio.CancelScope(shield=how == "cling"):
                await self.gate.wait()
            if how == "fail":
                raise Bug("child")
            self.context.ref.tell("done")
        finally:
            self.log.append(f"{how} ended")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
async def gate(system: ActorSystem, log: list[str]) -> trio.Event:
    gate = trio.Event()
    system.register("parent", lambda _: Parent(log, gate), supervision=STRICT, idle_seconds=10, handler_seconds=5)
    return gate


async def test_a_child_tells_its_result_and_keeps_its_parent_awake(
    system: ActorSystem, log: list[str], gate: trio.Event
) -> None:
    parent = system.ref("parent", "x")
    parent.tell("work")
    await trio.sleep(60)
    explanation = system.explain("parent/x")
    assert explanation is not None
    assert explanation.children == ("work",)
    gate.set()
    await trio.sleep(1)
    assert log == ["work", "work ended", "done"]
    await trio.sleep(60)
    assert list(system.living("parent")) == []


@pytest.mark.parametrize("end", ["crash", "stop", "cancel"])
async def test_children_end_with_their_parent(system: ActorSystem, log: list[str], gate: trio.Event, end: str) -> None:
    parent = system.ref("parent", "x")
    parent.tell("work")
    parent.tell(end)
    await trio.testing.wait_all_tasks_blocked()
    assert "work ended" in log
    assert system.stats().tasks == 0
    assert system.stats().kinds["parent"].counters["crashes"] == (end == "crash")


async def test_a_failing_child_crashes_its_parent(system: ActorSystem, log: list[str], gate: trio.Event) -> None:
    parent = system.ref("parent", "x")
    parent.tell("fail")
    await trio.testing.wait_all_tasks_blocked()
    gate.set()
    await trio.testing.wait_all_tasks_blocked()
    explanation = system.explain("parent/x")
    assert explanation is not None
    assert explanation.state == "backing off"
    assert explanation.last_crash is not None
    assert explanation.last_crash.error.type == "ChildFailed"
    assert explanation.last_crash.error.cause is not None
    assert explanation.last_crash.error.cause.text == "child"
    assert await parent.ask("back") == []


async def test_nobody_is_rebuilt_before_the_last_child_of_the_former_has_ended(
    system: ActorSystem, log: list[str], gate: trio.Event
) -> None:
    parent = system.ref("parent", "x")
    parent.tell("cling")
    parent.tell("crash")
    parent.tell("next")
    await trio.sleep(4)
    assert log == ["cling"]
    gate.set()
    await trio.testing.wait_all_tasks_blocked(0.001)
    assert log == ["cling", "cling ended", "next", "done"]


async def test_a_child_that_never_ends_keeps_its_parent_from_being_two(
    system: ActorSystem, log: list[str], gate: trio.Event
) -> None:
    parent = system.ref("parent", "x")
    parent.tell("cling")
    parent.tell("crash")
    await trio.sleep(300)
    explanation = system.explain("parent/x")
    assert explanation is not None
    assert explanation.state == "cooling down"
    gate.set()
    await trio.sleep(40)
    assert await parent.ask("back") == []


async def test_timers_end_with_a_crash(system: ActorSystem, log: list[str], gate: trio.Event) -> None:
    parent = system.ref("parent", "x")
    parent.tell("timer")
    parent.tell("crash")
    await trio.sleep(200)
    assert log == ["timer"]


async def test_watchers_hear_of_an_end_once(house: House) -> None:
    class Watcher(Actor):
        def receive(self, message: object) -> object:
            if isinstance(message, Terminated):
                heard.append(message)
            elif message == "unwatch":
                self.context.unwatch(house.ref("bob"))
            else:
                self.context.watch(house.ref("ada"))
                self.context.watch(house.ref("bob"))
            return None

    heard: list[Terminated] = []
    house.system.register("watcher", lambda _: Watcher(), supervision=Supervision())
    watcher = house.system.ref("watcher", "w")
    await watcher.ask("watch")
    await watcher.ask("watch")
    await house.ref("ada").ask(Say("alive"))
    house.ref("ada").tell(Crash())
    await trio.sleep(400)  # crashed, rebuilt, fell asleep: no end
    assert house.state("ada") == "asleep"
    assert heard == []
    assert await house.ref("ada").ask(StopYourself()) == "goodbye"
    await trio.sleep(1)
    assert heard == [Terminated("person/ada", EndReason.STOPPED)]
    await watcher.ask("unwatch")
    await house.ref("bob").ask(StopYourself())
    await house.ref("ada").ask(StopYourself())
    await trio.sleep(1)
    assert len(heard) == 1
    assert house.system.stats().watches == 0


async def test_watchers_hear_of_an_escalation_also_afterwards(strict: House) -> None:
    heard: Counter[object] = Counter()

    class Watcher(Actor):
        def receive(self, message: object) -> object:
            if isinstance(message, Terminated):
                heard[message] += 1
            else:
                self.context.watch(strict.ref("ada"))
            return None

    strict.system.register("watcher", lambda _: Watcher(), supervision=Supervision())
    watcher = strict.system.ref("watcher", "w")
    await watcher.ask("watch")
    strict.diary().start_errors = [Bug("no")] * 4
    strict.ref().tell(Say("wake"))
    await trio.sleep(10)
    end = Terminated("person/ada", EndReason.CRASHED)
    assert heard == {end: 1}
    await watcher.ask("watch")
    await trio.sleep(1)
    assert heard == {end: 2}


async def test_a_stop_comes_before_the_next_message(house: House) -> None:
    await house.ref().ask(Say("awake"))
    house.ref().tell(StopYourself())
    house.ref().tell(Say("buried"))
    await trio.testing.wait_all_tasks_blocked()
    assert house.diary().lines == ["awake"]
    assert house.diary().stops == 1


async def test_a_stopped_actor_is_woken_anew(house: House) -> None:
    gate, begun = trio.Event(), trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    house.ref().tell(StopYourself())
    house.ref().tell(Say("buried"))
    gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert house.state() == "asleep"
    assert house.diary().stops == 1
    assert house.system.dead_letters.counts[DeadReason.ACTOR_STOPPED] == 1
    assert await house.ref().ask(Say("anew")) == "ada: anew"
    assert house.diary().lines == ["waited", "anew"]
    assert house.diary().starts == 2


class Holder(Actor):
    """Holds something of the outside, as a link."""

    def __init__(self, released: list[str], mood: str) -> None:
        self._released = released
        self._mood = mood

    def receive(self, message: object) -> object:
        if isinstance(message, Crash):
            raise Bug(message.why)
        return self._mood

    def crashed(self) -> None:
        self._released.append(self._mood)
        if self._mood == "clumsy":
            raise Bug("and this as well")


@pytest.mark.parametrize("mood", ["calm", "clumsy"])
async def test_a_crashed_actor_releases_what_it_held_before_the_next_is_made(system: ActorSystem, mood: str) -> None:
    released: list[str] = []
    made: list[int] = []

    def make(actor_id: str) -> Actor:
        made.append(len(released))
        return Holder(released, mood)

    system.register("holder", make, supervision=PATIENT)
    ref = system.ref("holder", "ada")
    with pytest.raises(ActorCrashed):
        await ref.ask(Crash())
    assert released == [mood]
    assert await ref.ask(Say("again")) == mood
    assert made == [0, 1]
