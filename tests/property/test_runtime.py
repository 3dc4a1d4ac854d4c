"""Whatever is told, asked, cancelled, crashed and slept through: each accepted message has exactly one fate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import structlog.testing
import trio
import trio.testing
from hypothesis import event, given, settings
from hypothesis import strategies as st

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorSystem,
    AskTimeout,
    DeadReason,
    MailboxFull,
    Message,
    SeededRandomness,
    Stopped,
    Supervision,
)

Behaviour = Literal["answer", "refuse", "crash", "stop", "child", "timer", "watch"]
NAMES = ("ada", "bob")


class Refused(Exception):
    """An answer of a handler."""


class StartRefused(Refused):
    """An answer of `started()`."""


class Bug(Exception):
    """No answer."""


@dataclass(frozen=True, slots=True)
class Job(Message[int]):
    serial: int
    control: bool
    behaviour: Behaviour
    pause_seconds: float | None  # None: handled inline


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to the system: a tell or an ask after a wait; `patience` and `cancel_after` are of the ask."""

    name: str
    wait_seconds: float
    asks: bool
    control: bool
    behaviour: Behaviour
    pause_seconds: float | None
    patience_seconds: float
    cancel_after_seconds: float | None


@dataclass
class World:
    """What happened, seen from outside of the actors."""

    told: dict[int, bool] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    outcomes: dict[int, str] = field(default_factory=dict)
    begun: dict[str, list[Job]] = field(default_factory=lambda: {name: [] for name in NAMES})
    at_work: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    alive: dict[str, Worker | None] = field(default_factory=lambda: dict.fromkeys(NAMES))
    start_faults: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Worker(Actor):
    """Does as the job says and notes it."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world

    async def started(self) -> None:
        fault = self.world.start_faults.pop() if self.world.start_faults else "none"
        if fault == "slow":
            await trio.sleep(0.7)
        if fault == "crash":
            raise Bug("start")
        if fault == "refuse":
            raise StartRefused("start")
        self.world.alive[self.name] = self

    def receive(self, message: object) -> object:
        if not isinstance(message, Job):
            return None
        self.world.begun[self.name].append(message)
        if self.world.alive[self.name] is not self:
            self.world.violations.append(f"{message} handled by one who is not alive")
        if self.world.at_work[self.name]:
            self.world.violations.append(f"{message} handled beside another")
        return self._act(message) if message.pause_seconds is None else self._act_later(message)

    async def stopped(self) -> None:
        await trio.sleep(0.2)
        self.world.alive[self.name] = None

    async def _act_later(self, job: Job) -> int:
        self.world.at_work[self.name] += 1
        try:
            await trio.sleep(job.pause_seconds or 0)
        finally:
            self.world.at_work[self.name] -= 1
        return self._act(job)

    def _act(self, job: Job) -> int:
        if job.behaviour == "refuse":
            raise Refused("handler")
        if job.behaviour == "crash":
            raise Bug("handler")
        if job.behaviour == "stop":
            self.context.stop()
        if job.behaviour == "timer":
            self.context.schedule(1.0, "ring")
        if job.behaviour == "child":
            self.context.spawn_child(self._child, job.serial, name="child")
        if job.behaviour == "watch":
            self.context.watch(self.context.system.ref("worker", NAMES[job.serial % 2]))
        return job.serial

    async def _child(self, serial: int) -> None:
        await trio.sleep(0.5)
        if serial % 3 == 0:
            raise Bug("child")


seconds = st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 1.0, 6.0])
steps = st.builds(
    Step,
    name=st.sampled_from(NAMES),
    wait_seconds=seconds,
    asks=st.booleans(),
    control=st.sampled_from([False, False, True]),
    behaviour=st.sampled_from(
        ["answer", "answer", "answer", "refuse", "crash", "crash", "stop", "child", "timer", "watch"]
    ),
    pause_seconds=st.sampled_from([None, None, 0.0, 0.1, 1.5]),
    patience_seconds=st.sampled_from([0.0, 0.1, 1.0, 10.0]),
    cancel_after_seconds=st.sampled_from([None, None, 0.0, 0.2]),
)
faults = st.lists(st.sampled_from(["none", "slow", "crash", "refuse"]), max_size=12)


async def ask(world: World, system: ActorSystem, step: Step, job: Job) -> None:
    world.asked.add(job.serial)
    ref = system.ref("worker", step.name)
    outcome = "cancelled"
    with trio.move_on_after(step.cancel_after_seconds if step.cancel_after_seconds is not None else 1e9):
        try:
            answer = await ref.ask(job, timeout_seconds=step.patience_seconds, control=step.control)
            outcome = "answered" if answer == job.serial else "answered wrongly"
        except StartRefused:
            outcome = "start refused"
        except Refused:
            outcome = "refused"
        except AskTimeout:
            outcome = "timeout"
        except MailboxFull:
            outcome = "full"
        except ActorCrashed:
            outcome = "crashed"
        except Stopped:
            outcome = "stopped"
    world.outcomes[job.serial] = outcome


async def live(world: World, plan: list[Step], *, stop_at_once: bool) -> ActorSystem:
    async with ActorSystem.open(refusals=(Refused,), randomness=SeededRandomness(1), stop_seconds=4) as system:
        system.register(
            "worker",
            lambda name: Worker(name, world),
            supervision=Supervision(
                max_restarts=3,
                within_seconds=5,
                backoff_initial_seconds=0.1,
                cool_down_seconds=2,
                backoff_max_seconds=1,
            ),
            mailbox_size=4,
            control_size=2,
            idle_seconds=3,
            handler_seconds=30,
        )
        async with trio.open_nursery() as nursery:
            for serial, step in enumerate(plan):
                if step.wait_seconds:
                    await trio.sleep(step.wait_seconds)
                job = Job(serial, step.control, step.behaviour, step.pause_seconds)
                if step.asks:
                    # The ask is in its mailbox, or turned away, before the next step.
                    nursery.start_soon(ask, world, system, step, job)
                    while serial not in world.asked:
                        await trio.lowlevel.checkpoint()
                else:
                    world.told[serial] = system.ref("worker", step.name).tell(job, control=step.control)
            if stop_at_once:
                await system.stop()
        if not stop_at_once:
            await trio.sleep(300)
    return system


@settings(max_examples=250, deadline=None)
@given(
    plan=st.lists(steps, max_size=40) | st.lists(steps, min_size=30, max_size=40),
    start_faults=faults,
    stop_at_once=st.booleans(),
)
def test_each_accepted_message_has_exactly_one_fate(
    plan: list[Step], start_faults: list[str], stop_at_once: bool
) -> None:
    world = World(start_faults=start_faults)

    async def run() -> ActorSystem:
        return await live(world, plan, stop_at_once=stop_at_once)

    with structlog.testing.capture_logs():
        system = trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))

    assert world.violations == []
    counters = system.stats().kinds["worker"].counters
    letters = [letter for letter in system.dead_letters.latest() if letter.message.type == "Job"]
    turned_away = {DeadReason.FULL, DeadReason.RESTING, DeadReason.STOPPING}
    away = [int(letter.message.fields["serial"]) for letter in letters if letter.reason in turned_away]
    buried = [int(letter.message.fields["serial"]) for letter in letters if letter.reason not in turned_away]
    accepted = set(range(len(plan))) - set(away)
    begun = [job.serial for jobs in world.begun.values() for job in jobs]

    # At most once, and only what was accepted.
    assert len(begun) == len(set(begun))
    assert set(begun) <= accepted
    assert len(buried) == len(set(buried))
    assert len(away) == len(set(away))
    assert {serial for serial, taken in world.told.items() if not taken} == set(away) - world.asked

    # In order, lane by lane.
    for jobs in world.begun.values():
        for control in (False, True):
            lane = [job.serial for job in jobs if job.control is control]
            assert lane == sorted(lane)

    # None lost: begun, or a dead letter, or answered by a start that refused.
    refused_at_start = {serial for serial, outcome in world.outcomes.items() if outcome == "start refused"}
    assert accepted - set(begun) - set(buried) - refused_at_start == set()
    # Only one that was cut off in its middle, by the end of the system, is both begun and a dead letter.
    both = set(begun) & set(buried)
    assert len(both) <= (len(NAMES) if stop_at_once else 0)

    # The askers heard what happened.
    for serial, outcome in world.outcomes.items():
        assert outcome != "answered wrongly"
        if outcome in ("answered", "refused"):
            assert serial in begun
        if outcome == "full":
            assert serial not in accepted
        event(outcome)
    assert world.asked == set(world.outcomes)

    # The counters add up, and with the dead letters.
    assert system.stats().kinds["worker"].waiting == 0
    settled = ("handled", "refused", "crashed", "expired", "abandoned", "dropped")
    assert counters["accepted"] == sum(counters[fate] for fate in settled)
    assert counters["turned_away"] == sum(system.dead_letters.counts[reason] for reason in turned_away)
    assert counters["expired"] == system.dead_letters.counts[DeadReason.EXPIRED]
    assert counters["abandoned"] == system.dead_letters.counts[DeadReason.ABANDONED]
    gone = (DeadReason.ACTOR_STOPPED, DeadReason.ACTOR_CRASHED, DeadReason.REFUSED)
    assert counters["dropped"] == sum(system.dead_letters.counts[reason] for reason in gone)
    assert list(system.living("worker")) == []
    assert system.stats().tasks == 0
