"""The actors these tests talk to."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

import trio

from actors.runtime import Actor, ActorSystem, Message, Ref, Supervision

PATIENT = Supervision(max_restarts=1_000, within_seconds=60, backoff_initial_seconds=0.1, backoff_max_seconds=0.5)


class Refused(Exception):
    """An answer."""


class Bug(Exception):
    """No answer."""


@dataclass(frozen=True, slots=True)
class Say(Message[str]):
    word: str


@dataclass(frozen=True, slots=True)
class Crash(Message[str]):
    why: str = "planted"


@dataclass(frozen=True, slots=True)
class Refuse(Message[str]):
    why: str


@dataclass(frozen=True, slots=True)
class Wait(Message[str]):
    """Answered when `gate` opens."""

    gate: trio.Event
    begun: trio.Event | None = None


@dataclass(frozen=True, slots=True)
class Later(Message[str]):
    """Handled after a pause, then as `message`."""

    message: object
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StopYourself(Message[str]):
    pass


class Diary:
    """What actors did, in order; outlives them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.starts = 0
        self.stops = 0
        self.start_errors: list[Exception] = []
        self.stop_gate: trio.Event | None = None
        self.sleepless = False


class Person(Actor):
    """Writes into a diary what it is told."""

    def __init__(self, name: str, diary: Diary) -> None:
        self.name = name
        self.diary = diary

    async def started(self) -> None:
        self.diary.starts += 1
        if self.diary.start_errors:
            raise self.diary.start_errors.pop(0)

    def receive(self, message: object) -> object:
        match message:
            case Say(word):
                self.diary.lines.append(word)
                return f"{self.name}: {word}"
            case Crash(why):
                raise Bug(why)
            case Refuse(why):
                raise Refused(why)
            case Wait():
                return self._wait(message)
            case Later():
                return self._later(message)
            case StopYourself():
                self.context.stop()
                return "goodbye"
            case _:
                self.diary.lines.append(repr(message))
                return None

    async def stopped(self) -> None:
        if self.diary.stop_gate is not None:
            await self.diary.stop_gate.wait()
        self.diary.stops += 1

    def asleep_allowed(self) -> bool:
        return not self.diary.sleepless

    async def _wait(self, message: Wait) -> str:
        if message.begun is not None:
            message.begun.set()
        await message.gate.wait()
        self.diary.lines.append("waited")
        return "waited"

    async def _later(self, message: Later) -> object:
        await trio.sleep(message.seconds)
        answer = self.receive(message.message)
        return await answer if isinstance(answer, Awaitable) else answer


class House:
    """An actor system with one kind of people."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.diaries: dict[str, Diary] = {}

    def diary(self, name: str = "ada") -> Diary:
        return self.diaries.setdefault(name, Diary())

    def ref(self, name: str = "ada") -> Ref:
        return self.system.ref("person", name)

    def person(self, name: str) -> Person:
        return Person(name, self.diary(name))

    def state(self, name: str = "ada") -> str:
        explanation = self.system.explain(f"person/{name}")
        assert explanation is not None
        return explanation.state

    def counters(self) -> dict[str, int]:
        return self.system.stats().kinds["person"].counters
