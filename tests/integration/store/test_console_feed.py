"""The feed over a real database: what a viewer is told when its gap must be read, and when its role changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import trio
from sqlalchemy import Connection

from controlplane.services import console_feed
from controlplane.services.console_feed import Feed
from controlplane.services.console_topics import REACH, Access
from controlplane.services.console_viewers import Viewer
from controlplane.store import events
from controlplane.store.database import Database
from controlplane.store.event_kinds import KINDS
from controlplane.store.events import EventStore
from protocol.console import Unwatch, Watch
from tests.people import SetClock

NOW = SetClock().now()
ALL = Access(topics=frozenset({"approvals", "orders", "customers", "fleet"}), rooms=frozenset(REACH))


class Screen:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.open = True
        self.told: list[dict[str, Any]] = []
        self.codes: list[int] = []
        self._more = trio.Event()

    def send_frame(self, frame: bytes) -> bool:
        self.told.append(msgspec.json.decode(frame))
        self._more.set()
        return True

    def close(self, code: int, reason: str = "") -> None:
        self.open = False
        self.codes.append(code)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.told if frame["type"] == kind]

    def numbers(self) -> list[int]:
        return [frame["data"]["number"] for frame in self.of("event")]

    async def until(self, kind: str, count: int = 1) -> None:
        with trio.fail_after(10):
            while len(self.of(kind)) < count:
                self._more = trio.Event()
                await self._more.wait()


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[tuple[Feed, list[UUID]]]:
    marked: list[UUID] = []
    feed = Feed(EventStore(database), frame=lambda payload: payload, on_order=marked.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(feed.run)
        yield feed, marked
        nursery.cancel_scope.cancel()


def emit(connection: Connection, first: int, count: int = 1, kind: str = "customer.changed") -> None:
    made = msgspec.defstruct(KINDS[kind].data, [("number", int)])
    told = [events.NewEvent(kind, made(number), NOW) for number in range(first, first + count)]
    events.emit_all(connection, told)


async def test_a_gap_beyond_memory_is_read_and_meets_what_is_told_meanwhile(database: Database, monkeypatch):
    monkeypatch.setattr(console_feed, "REMEMBERED", 20)
    async with running(database) as (feed, _):
        start = feed.cursor
        live = Screen()
        feed.ask(Viewer(live, owner=None, access=ALL), Watch(["customers"]))
        await database.write(emit, 0, 100)
        await live.until("event", 100)
        late = Screen()
        viewer = Viewer(late, owner=None, access=ALL)
        feed.ask(viewer, Watch(["customers", "orders"], since=start))
        assert viewer.catching_up
        feed.ask(viewer, Watch(["fleet"]))  # waits for its turn
        await database.write(emit, 100, 15)
        await late.until("watching", 2)
        await live.until("event", 115)
        await late.until("event", 115)
        assert late.numbers() == list(range(115))
        cursors = [frame["cursor"] for frame in late.told]
        assert [frame["topics"] for frame in late.of("watching")] == [["customers", "orders"], ["fleet"]]
        assert len(set(cursors)) >= 115
        feed.ask(viewer, Unwatch(["customers"]))
        await database.write(emit, 200)
        await live.until("event", 116)
        assert late.numbers()[-1] == 114


async def test_too_much_to_replay_asks_for_a_snapshot(database: Database, monkeypatch):
    monkeypatch.setattr(console_feed, "REPLAY_BYTES", 2_000)
    async with running(database) as (feed, _):
        start = feed.cursor
        live, late = Screen(), Screen()
        feed.ask(Viewer(live, owner=None, access=ALL), Watch(["customers"]))
        await database.write(emit, 0, 50)
        await live.until("event", 50)
        feed.ask(Viewer(late, owner=None, access=ALL), Watch(["customers"], since=start))
        assert [frame["type"] for frame in late.told] == ["snapshotNeeded", "watching"]
        feed.ask(Viewer(late, owner=None, access=ALL), Watch(["orders"], since=start))
        assert [frame["type"] for frame in late.told][2:] == ["watching"]


async def test_a_lost_role_ends_its_topics_and_says_so(database: Database):
    async with running(database) as (feed, _):
        screen, witness = Screen(), Screen()
        viewer = Viewer(screen, owner=None, access=ALL)
        feed.ask(viewer, Watch(["customers", "orders"]))
        feed.ask(Viewer(witness, owner=None, access=ALL), Watch(["customers", "orders"]))
        feed.reauthorize(viewer, Access(topics=frozenset({"orders"}), rooms=frozenset(REACH)))
        (refused,) = screen.of("refused")
        assert (refused["topic"], refused["code"]) == ("customers", "FORBIDDEN")
        await database.write(emit, 1)
        await database.write(emit, 2, 1, "order.changed")
        await witness.until("event", 2)
        assert screen.numbers() == [2]
        feed.ask(viewer, Watch(["customers"]))
        assert screen.of("refused")[-1]["code"] == "FORBIDDEN"
        feed.forget(viewer)
        await database.write(emit, 3, 1, "order.changed")
        await witness.until("event", 3)
        assert screen.numbers() == [2]


async def test_a_cursor_ahead_of_this_node_is_told_nothing_twice(database: Database):
    """Another node was quicker: what it has told already comes here a moment later."""
    async with running(database) as (feed, _), running(database) as (slower, _):
        screen, resumed = Screen(), Screen()
        feed.ask(Viewer(screen, owner=None, access=ALL), Watch(["customers"]))
        await database.write(emit, 1, 2)
        await screen.until("event", 2)
        ahead = screen.of("event")[1]["cursor"]
        slower._position = slower._horizon.position  # as if it had read nothing yet
        slower.ask(Viewer(resumed, owner=None, access=ALL), Watch(["customers"], since=ahead))
        slower.poke()
        await database.write(emit, 3)
        await resumed.until("event")
        assert resumed.numbers() == [3]
