"""Crashes: back-off, restart intensity, escalation, children, death watch; siblings are left alone."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorSystem,
    AskTimeout,
    DeadReason,
    Escalation,
    SeededRandomness,
    Supervision,
)
from tests.unit.actors.runtime.people import PATIENT, Bug, Crash, House, Later, Refused, Say, Wait

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
