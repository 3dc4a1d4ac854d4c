"""Crashes: back-off, restart intensity, escalation, children, death watch; siblings are left alone."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorSystem,
    AskTimeout,
    DeadReason,
    EndReason,
    Escalation,
    SeededRandomness,
    Supervision,
    Terminated,
)
from tests.unit.actors.runtime.people import PATIENT, Bug, Crash, House, Later, Refused, Say, StopYourself, Wait

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


@pytest.mark.parametrize("message", [Crash(), Later(Crash())], ids=["inline", "awaited"])
async def test_the_asker_of_a_crash_is_told_and_the_mailbox_is_kept(house: House, message: Crash) -> None:
    house.ref().tell(Say("before"))
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ActorCrashed, match="person/ada crashed"):
                await house.ref().ask(message)

        nursery.start_soon(ask)
        await trio.lowlevel.checkpoint()
        house.ref().tell(Say("after"))
    assert await house.ref().ask(Say("again")) == "ada: again"
    assert house.diary().lines == ["before", "after", "again"]
    assert house.diary().starts == 2


async def test_every_actor_crashes_a_hundred_times_and_its_siblings_never_notice(house: House) -> None:
    names = [f"sibling {number}" for number in range(5)]
    for name in names:
        await house.ref(name).ask(Say("here"))
    longest = 0.0
    for _ in range(100):
        with pytest.raises(ActorCrashed):
            await house.ref("ada").ask(Crash())
        at = trio.current_time()
        assert await house.ref("ada").ask(Say("back")) == "ada: back"
        longest = max(longest, trio.current_time() - at)
    assert longest < 1
    assert house.diary("ada").starts == 101
    for name in names:
        assert house.diary(name).starts == 1
        assert await house.ref(name).ask(Say("still here")) == f"{name}: still here"
    assert house.counters()["crashes"] == 100
    assert house.counters()["restarts"] == 100


async def test_an_actor_that_was_alive_is_rebuilt_though_nobody_asks(house: House) -> None:
    house.ref().tell(Crash())
    await trio.sleep(1)
    assert house.diary().starts == 2
    assert house.state() == "idle"


async def test_the_back_off_doubles_up_to_its_limit(strict: House) -> None:
    waits = []
    for _ in range(3):
        strict.ref().tell(Crash())
        at = trio.current_time()
        await strict.ref().ask(Say("back"))
        waits.append(trio.current_time() - at)
    assert waits == [1, 2, 3]


def test_the_back_off_jitters_within_its_share() -> None:
    supervision = Supervision(backoff_initial_seconds=1, backoff_max_seconds=8, jitter=0.5)
    randomness = SeededRandomness(1)
    waits = [supervision.backoff_seconds(3, randomness) for _ in range(500)]
    assert 2 <= min(waits) < 2.2
    assert 5.8 < max(waits) <= 6
    assert supervision.backoff_seconds(10_000, randomness) <= 12


async def test_beyond_its_intensity_an_actor_escalates_and_rests(strict: House, told: list[Escalation]) -> None:
    for _ in range(3):
        strict.ref().tell(Crash())
        await strict.ref().ask(Say("back"))
    assert told == []
    strict.ref().tell(Crash())
    strict.ref().tell(Say("lost"))
    with pytest.raises(ActorCrashed):
        await strict.ref().ask(Say("waiting"))
    assert told == [Escalation("root/person", "person/ada", "Bug")]
    assert strict.state() == "cooling down"
    assert not strict.ref().tell(Say("turned away"))
    with pytest.raises(ActorCrashed) as caught:
        await strict.ref().ask(Say("turned away"))
    assert caught.value.retry_after_seconds == 30
    assert strict.system.dead_letters.counts[DeadReason.ACTOR_CRASHED] == 2
    assert strict.system.dead_letters.counts[DeadReason.RESTING] == 2
    assert await strict.ref("bob").ask(Say("unharmed")) == "bob: unharmed"

    await trio.sleep(31)
    assert strict.state() == "asleep"
    assert await strict.ref().ask(Say("woken")) == "ada: woken"


async def test_crashes_spread_over_time_never_escalate(strict: House, told: list[Escalation]) -> None:
    for _ in range(20):
        with pytest.raises(ActorCrashed):
            await strict.ref().ask(Crash())
        await trio.sleep(25)
    assert told == []
    assert strict.diary().starts == 21


async def test_escalations_climb_the_tree_as_far_as_they_are_not_borne() -> None:
    heard: list[Escalation] = []
    never_again = Supervision(max_restarts=0)
    async with ActorSystem.open(on_escalation=heard.append) as system:
        house = House(system)
        crowd = system.supervisor("crowd", tolerance=Supervision(max_restarts=1), on_escalation=heard.append)
        system.register("person", house.person, supervision=never_again, under=crowd, tolerance=never_again)
        for name in ("ada", "bob", "cleo"):
            house.ref(name).tell(Crash())
            await trio.testing.wait_all_tasks_blocked()
            assert house.state(name) == "cooling down"
        assert [(escalation.supervisor, escalation.source) for escalation in heard] == [
            ("root/crowd", "root/crowd/person"),
            ("root/crowd", "root/crowd/person"),
            ("root", "root/crowd"),
            ("root/crowd", "root/crowd/person"),
            ("root", "root/crowd"),
        ]
        assert system.tree().splitlines()[1].startswith("  crowd  (")
        assert await house.ref("dan").ask(Say("alive")) == "dan: alive"


async def test_a_failing_escalation_callback_harms_nobody(system: ActorSystem) -> None:
    def fail(_: Escalation) -> None:
        raise Bug("callback")

    house = House(system)
    system.register("person", house.person, supervision=Supervision(max_restarts=0), on_escalation=fail)
    house.ref().tell(Crash())
    assert await house.ref("bob").ask(Say("fine")) == "bob: fine"


async def test_a_crash_while_starting_backs_off_likewise_and_keeps_what_waits(strict: House) -> None:
    strict.diary().start_errors = [Bug("one"), Bug("two")]
    at = trio.current_time()
    strict.ref().tell(Say("first"))
    assert await strict.ref().ask(Say("second")) == "ada: second"
    assert trio.current_time() - at == 3
    assert strict.diary().lines == ["first", "second"]
    assert strict.counters()["crashes"] == 2


async def test_a_failing_factory_is_a_crash_as_well(system: ActorSystem) -> None:
    house = House(system)
    broken = [Bug("factory")]

    def make(name: str) -> Actor:
        if broken:
            raise broken.pop()
        return house.person(name)

    system.register("person", make, supervision=PATIENT)
    assert await house.ref().ask(Say("hello")) == "ada: hello"
    assert house.counters()["crashes"] == 1


async def test_while_backing_off_the_mailbox_fills_to_its_bound_and_asks_expire(house: House) -> None:
    house.diary().start_errors = [Bug("no") for _ in range(20)]
    house.ref().tell(Say("0"))
    await trio.testing.wait_all_tasks_blocked(0.001)
    assert house.state() == "backing off"
    with pytest.raises(AskTimeout) as caught:
        await house.ref().ask(Say("impatient"), timeout_seconds=0.3)
    assert not caught.value.begun
    taken = [house.ref().tell(Say(str(number))) for number in range(1, 12)]
    assert taken.count(True) == 7
    await house.ref().ask(Say("at last"), control=True, timeout_seconds=60)
    await trio.testing.wait_all_tasks_blocked(0.001)
    assert house.diary().lines == ["at last", *"01234567"]


async def test_a_start_that_refuses_answers_who_asked_and_is_no_crash(house: House) -> None:
    house.diary().start_errors = [Refused("no such person")]
    with pytest.raises(Refused, match="no such person"):
        await house.ref().ask(Say("hello"))
    assert house.state() == "asleep"
    assert house.counters()["crashes"] == 0
    assert await house.ref().ask(Say("hello")) == "ada: hello"


async def test_a_start_that_refuses_keeps_what_was_told_for_another_try(house: House) -> None:
    house.diary().start_errors = [Refused("the database is away")] * 3
    house.ref().tell(Say("keep me"))
    await trio.sleep(10)
    assert house.diary().lines == ["keep me"]
    assert house.counters()["crashes"] == 0


async def test_a_start_that_always_refuses_ends_in_dead_letters(strict: House, told: list[Escalation]) -> None:
    strict.diary().start_errors = [Refused("no such person")] * 50
    strict.ref().tell(Say("to nobody"))
    await trio.sleep(100)
    assert strict.state() == "asleep"
    assert strict.system.dead_letters.counts[DeadReason.REFUSED] == 1
    assert strict.diary().starts == 4
    assert told == []


async def test_after_a_crash_a_refused_start_is_tried_until_it_works(strict: House) -> None:
    await strict.ref().ask(Say("alive"))
    strict.diary().start_errors = [Refused("the database is away")] * 40
    strict.ref().tell(Crash())
    await trio.sleep(200)
    assert strict.state() == "idle"
    assert strict.diary().starts == 42


async def test_a_handler_that_never_ends_is_cut_short_as_a_crash(system: ActorSystem) -> None:
    house = House(system)
    system.register("person", house.person, supervision=PATIENT, handler_seconds=5)
    with pytest.raises(ActorCrashed):
        await house.ref().ask(Wait(trio.Event()), timeout_seconds=60)
    assert trio.current_time() == pytest.approx(5)
    crash = system.crashes()[-1]
    assert crash.error.type == "HandlerOverran"
    assert await house.ref().ask(Say("back")) == "ada: back"


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
