"""Many wrappers in one process, each the real one with scripted agents and a socket of its own: for demo and load."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
import trio

from wrapper.agents import Effects, NoEffects, Tally, Written, run_scripted_agents, scripted_executors
from wrapper.daemon import Fittings, Wrapper
from wrapper.habits import Habit, flapping, keeping_old
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.ports import Randomness, SystemClock
from wrapper.script import Scenario

#: How long one that leaves stays: long enough to ask for something.
STAY_SECONDS: Final = 12.0
_LEFT: Final = "left"
_FIRST_CONFIGURATION: Final = "first-configuration"


@dataclass(frozen=True, slots=True)
class Member:
    """One wrapper of a fleet.

    Attributes:
        dice: for what its agents do and when, and for its habit; ids and the link's jitter are not their matter.
        folder: where its journal and its effects are; None keeps the journal in memory and no effects.
        pace_seconds: how long its agents think between two wishes, on average.
        opens: its scenario's opening is played.
    """

    name: str
    key: Secret
    script: Scenario
    pace_seconds: float
    dice: Randomness
    folder: Path | None = None
    habit: Habit = Habit.STEADY
    opens: bool = True


class Fleet:
    """Runs members and knows how they are.

    Args:
        measure_resources: heartbeats tell the machine's load.

    Attributes:
        tally: what all of them have done.
    """

    def __init__(self, address: HubAddress, *, measure_resources: bool = True) -> None:
        self._address = address
        self._measure_resources = measure_resources
        self._version = importlib.metadata.version("letsbe-hub")
        self._running: dict[str, Wrapper] = {}
        self._until_stopped: set[trio.CancelScope] = set()
        self._stopped = False
        self.tally = Tally()

    @property
    def running(self) -> int:
        """How many have been started and not ended."""
        return len(self._running)

    @property
    def connected(self) -> int:
        """How many have a socket on which the Hub has welcomed them."""
        return sum(wrapper.link.state.connected for wrapper in self._running.values())

    @property
    def reconnections(self) -> int:
        """How often sockets were opened anew."""
        return sum(max(wrapper.link.state.connections - 1, 0) for wrapper in self._running.values())

    def endings(self) -> dict[str, int]:
        """How the last connections of those ended that have none now, with how many each."""
        found: dict[str, int] = {}
        for wrapper in self._running.values():
            state = wrapper.link.state
            if not state.connected and state.last_ending:
                found[state.last_ending] = found.get(state.last_ending, 0) + 1
        return found

    async def run(self, member: Member, on_open: Callable[[Wrapper], None] | None = None) -> None:
        """Run one member until the fleet is stopped; one that leaves ends by itself, and stays away afterwards.

        Raises:
            sqlite3.Error: its journal cannot be used.
        """
        structlog.contextvars.bind_contextvars(tenant=member.name)
        if self._stopped:
            return
        leaves = member.habit is Habit.LEAVES
        left = member.folder / _LEFT if member.folder is not None else None
        if leaves and left is not None and await trio.Path(left).exists():
            return
        async with trio.open_nursery() as nursery:
            effects: Written = NoEffects()
            if member.folder is not None:
                effects = Effects(member.folder / "effects.log", SystemClock())
            fittings = self._fittings(member, effects, nursery)
            journal = member.folder / "journal.sqlite" if member.folder is not None else None
            async with Wrapper.open(self._address, member.key, journal_path=journal, fittings=fittings) as wrapper:
                self._running[member.name] = wrapper
                try:
                    if on_open is not None:
                        on_open(wrapper)
                    with trio.move_on_after(STAY_SECONDS if leaves else float("inf")):
                        await self._play(member, wrapper, effects)
                    if leaves and left is not None and not self._stopped:
                        await trio.Path(left).touch()
                finally:
                    del self._running[member.name]
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Let all members say goodbye and end, each in its own time."""
        self._stopped = True
        for scope in self._until_stopped:
            scope.cancel()

    async def _play(self, member: Member, wrapper: Wrapper, effects: Written) -> None:
        with trio.CancelScope() as until_stopped:
            self._until_stopped.add(until_stopped)
            try:
                if not self._stopped:
                    await run_scripted_agents(
                        wrapper,
                        effects,
                        pace_seconds=member.pace_seconds,
                        randomness=member.dice,
                        script=member.script,
                        tally=self.tally,
                        opens=member.opens,
                    )
            finally:
                self._until_stopped.discard(until_stopped)

    def _fittings(self, member: Member, effects: Written, nursery: trio.Nursery) -> Fittings:
        executors = scripted_executors(effects, randomness=member.dice, tally=self.tally)
        fittings = Fittings(
            version=self._version,
            executors=executors,
            measure_resources=self._measure_resources,
        )
        match member.habit:
            case Habit.FLAPS:
                return replace(fittings, dial=flapping(nursery, member.dice))
            case Habit.OUTDATED:
                kept = member.folder / _FIRST_CONFIGURATION if member.folder is not None else None
                return replace(fittings, appliers=(keeping_old(kept),))
            case _:
                return fittings
