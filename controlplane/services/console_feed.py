"""The feed: one reader of events for all consoles of this node, and the way back for one that was away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

import msgspec
import structlog
import trio

from controlplane.services.console_topics import Access, allows, channels_of, exists, order_of
from controlplane.services.console_viewers import Viewer, Viewers
from controlplane.store.events import (
    PAGE,
    EventStore,
    Horizon,
    Position,
    StoredEvent,
    cursor_of,
    position_of,
)
from protocol.console import (
    TOPICS_MOST,
    CloseCode,
    Event,
    Refused,
    SnapshotNeeded,
    Unwatch,
    Watch,
    Watching,
)
from protocol.faults import Forbidden, NotFound, Overloaded, ValidationError
from protocol.tenant import encode

log = structlog.get_logger()

#: How long the reader lets further commits gather after the first.
COALESCE_SECONDS: Final = 0.02
#: How often it looks without having been told: for other nodes' commits.
SWEEP_SECONDS: Final = 1.0
#: How long it waits for running transactions that hide events: first and at most.
HELD_BACK_SECONDS: Final = (0.005, 0.2)
RETRY_SECONDS: Final = 0.5
#: What is kept in memory for those who were away for a moment.
REMEMBERED: Final = 2_000
REMEMBERED_BYTES: Final = 16 * 1024 * 1024
#: What one who comes back is sent at most; beyond that a snapshot is cheaper.
REPLAY_MOST: Final = 2_000
REPLAY_BYTES: Final = 4 * 1024 * 1024
#: How many read their gap from the database at once.
CATCHING_UP: Final = 4
_SENDS_BETWEEN_CHECKPOINTS: Final = 500


class Feed:
    """Tells the consoles of this node what was committed, in one order, each event encoded once a topic.

    Args:
        frame: makes a WebSocket frame from its payload.
        on_order: told of each order that something happened to, also in replays.
    """

    def __init__(
        self, store: EventStore, *, frame: Callable[[bytes], bytes], on_order: Callable[[UUID], object]
    ) -> None:
        self._store = store
        self._make_frame = frame
        self._on_order = on_order
        self._horizon = Horizon(0, Position(0, 0))
        self._position = Position(0, 0)
        self._remembered: deque[StoredEvent] = deque()
        self._remembered_after = Position(0, 0)
        self._remembered_bytes = 0
        self._poked = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._limit = trio.CapacityLimiter(CATCHING_UP)
        self.viewers = Viewers()
        self.published = 0

    @property
    def cursor(self) -> str:
        """Everything up to here was told."""
        return self._cursor_of(self._position)

    def poke(self) -> None:
        """Something was committed."""
        self._poked.set()

    # --- what consoles ask ---------------------------------------------------------------------------------

    def ask(self, viewer: Viewer, request: Watch | Unwatch) -> None:
        """Take what a console says; in turn, so that its newest cursor always stands for all it watches."""
        if not viewer.catching_up:
            self._take(viewer, request)
        elif len(viewer.waiting) < TOPICS_MOST:
            viewer.waiting.append(request)
        else:
            viewer.receiver.close(CloseCode.TOO_FAST, "too many requests at once; reconnect in 5 s")

    def forget(self, viewer: Viewer) -> None:
        """The console is gone."""
        viewer.waiting.clear()
        for topic in list(viewer.topics):
            self.viewers.leave(viewer, topic)

    def reauthorize(self, viewer: Viewer, access: Access) -> None:
        """What a console may watch has changed: it keeps what is still allowed and is told what is not."""
        watched = dict(viewer.topics)
        for topic in watched:
            self.viewers.leave(viewer, topic)
        viewer.access = access
        for topic, after in watched.items():
            if allows(access, topic):
                self.viewers.join(viewer, topic, after)
            else:
                self._refuse(viewer, topic, Forbidden.code, "your role may not watch this any more")

    def _take(self, viewer: Viewer, request: Watch | Unwatch) -> None:
        if isinstance(request, Unwatch):
            for topic in request.topics:
                self.viewers.leave(viewer, topic)
            return
        topics = list(self._admitted(viewer, request.topics))
        position = self._position if request.since is None else self._position_of(request.since)
        if position is None:
            self._start_over(viewer, topics)
        elif position >= self._position:  # nothing missed; beyond it where another node was quicker
            self._join(viewer, topics, position)
        elif (missed := self._remembered_since(position)) is not None:
            self._resume(viewer, topics, missed)
        elif self._nursery is not None:
            viewer.catching_up = True
            self._nursery.start_soon(self._catch_up, viewer, topics, position)

    def _admitted(self, viewer: Viewer, topics: Iterable[str]) -> Iterator[str]:
        room = TOPICS_MOST - len(viewer.topics)
        for topic in dict.fromkeys(topics):
            if not exists(topic, viewer.audience):
                self._refuse(viewer, topic, NotFound.code, "there is no such topic")
            elif not allows(viewer.access, topic):
                self._refuse(viewer, topic, Forbidden.code, "your role may not watch this")
            elif topic not in viewer.topics and room <= 0:
                self._refuse(viewer, topic, ValidationError.code, f"at most {TOPICS_MOST} topics can be watched")
            else:
                room -= topic not in viewer.topics
                yield topic

    async def _catch_up(self, viewer: Viewer, topics: list[str], position: Position) -> None:
        async with self._limit:
            until = self._position
            try:
                missed = await self._gap(viewer, topics, position, until) if viewer.receiver.open else None
            except Overloaded as fault:
                viewer.receiver.close(CloseCode.RESTARTING, fault.message)
                return
        # From here on nothing waits: what was read, what was told meanwhile and what will be told meet without a hole.
        viewer.catching_up = False
        if not viewer.receiver.open:
            return
        topics = list(self._admitted(viewer, topics))  # the role may have changed
        told_meanwhile = self._remembered_since(until)
        if missed is None or told_meanwhile is None:
            self._start_over(viewer, topics)
        else:
            self._resume(viewer, topics, [*missed, *told_meanwhile])
        while viewer.waiting and not viewer.catching_up:
            self._take(viewer, viewer.waiting.popleft())

    async def _gap(
        self, viewer: Viewer, topics: Sequence[str], position: Position, until: Position
    ) -> list[StoredEvent] | None:
        orders = [order_of(topic) for topic in topics]
        return await self._store.gap(
            position,
            until,
            limit=REPLAY_MOST,
            customer_id=viewer.owner,
            orders=[order for order in orders if order is not None] if None not in orders else (),
        )

    def _resume(self, viewer: Viewer, topics: list[str], missed: Sequence[StoredEvent]) -> None:
        watched = set(topics)
        frames = []
        size = 0
        orders = set()
        for event in missed:
            for owner, topic, room in channels_of(event):
                if owner == viewer.owner and topic in watched and room in viewer.access.rooms:
                    frames.append(self._event_frame(event, topic))
                    size += len(frames[-1])
                    orders.add(event.order_id)
        if len(frames) > REPLAY_MOST or size > REPLAY_BYTES:
            self._start_over(viewer, topics)
            return
        for frame in frames:
            viewer.receiver.send_frame(frame)
        self._join(viewer, topics, self._position)
        for order_id in orders:
            if order_id is not None:
                self._on_order(order_id)

    def _start_over(self, viewer: Viewer, topics: Sequence[str]) -> None:
        for topic in topics:
            self._say(viewer, SnapshotNeeded(topic, self.cursor))
        self._join(viewer, topics, self._position)

    def _join(self, viewer: Viewer, topics: Sequence[str], position: Position) -> None:
        for topic in topics:
            self.viewers.join(viewer, topic, position)
        if topics:
            self._say(viewer, Watching(list(topics), self._cursor_of(position)))

    def _refuse(self, viewer: Viewer, topic: str, code: str, message: str) -> None:
        self._say(viewer, Refused(topic, code, message))

    def _say(self, viewer: Viewer, frame: Watching | SnapshotNeeded | Refused) -> None:
        viewer.receiver.send_frame(self._make_frame(encode(frame)))

    # --- what is read --------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read and tell, until cancelled; started once the place to read on from is known."""
        self._store.listen(self.poke)
        await self._begin()
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            rest = SWEEP_SECONDS
            while True:
                await self._wait(rest)
                try:
                    rest = await self._read(rest)
                except Overloaded as fault:
                    log.warning("console.feed_waits", reason=fault.message)
                    await trio.sleep(RETRY_SECONDS)

    async def _begin(self) -> None:
        while True:
            try:
                self._horizon, latest = await self._store.begin(most=REMEMBERED)
                break
            except Overloaded as fault:
                log.warning("console.feed_waits", reason=fault.message)
                await trio.sleep(RETRY_SECONDS)
        self._position = self._remembered_after = self._horizon.position
        if len(latest) == REMEMBERED:  # there may be older ones
            self._remembered_after = latest.pop(0).position
        for event in latest:
            self._remember(event)
        if latest:
            self._position = latest[-1].position

    async def _wait(self, rest: float) -> None:
        with trio.move_on_after(rest):
            await self._poked.wait()
        if self._poked.is_set():
            await trio.sleep(COALESCE_SECONDS)
            self._poked = trio.Event()

    async def _read(self, rest: float) -> float:
        """Tell what is new; returns how long to wait at most before looking again."""
        news = await self._store.after(self._position)
        sends = 0
        for event in news.events:
            sends += self._publish(event)
            if sends >= _SENDS_BETWEEN_CHECKPOINTS:
                sends = 0
                await trio.lowlevel.checkpoint()
        if len(news.events) == PAGE:
            return 0
        if not news.held_back:
            return SWEEP_SECONDS
        first, most = HELD_BACK_SECONDS
        if news.events or rest >= SWEEP_SECONDS:
            return first
        return min(max(rest * 2, first), most)

    def _publish(self, event: StoredEvent) -> int:
        self._position = event.position
        self._remember(event)
        self.published += 1
        sends = 0
        for channel in channels_of(event):
            viewers = self.viewers.of(channel)
            if not viewers:
                continue
            topic = channel[1]
            frame = self._event_frame(event, topic)
            for viewer in viewers:
                if event.position > viewer.topics[topic]:
                    viewer.receiver.send_frame(frame)
                    sends += 1
        if event.order_id is not None:
            self._on_order(event.order_id)
        return sends

    def _event_frame(self, event: StoredEvent, topic: str) -> bytes:
        spoken = Event(
            cursor=self._cursor_of(event.position),
            topic=topic,
            kind=event.kind,
            at=event.at,
            revision=event.position.id,
            data=msgspec.Raw(event.data),
        )
        return self._make_frame(encode(spoken))

    # --- what is remembered ----------------------------------------------------------------------------------

    def _remember(self, event: StoredEvent) -> None:
        self._remembered.append(event)
        self._remembered_bytes += len(event.data)
        while len(self._remembered) > REMEMBERED or self._remembered_bytes > REMEMBERED_BYTES:
            oldest = self._remembered.popleft()
            self._remembered_bytes -= len(oldest.data)
            self._remembered_after = oldest.position

    def _remembered_since(self, position: Position) -> list[StoredEvent] | None:
        """What was told after a position; None where that is not all in memory."""
        if position < self._remembered_after:
            return None
        missed: list[StoredEvent] = []
        for event in reversed(self._remembered):
            if event.position <= position:
                break
            missed.append(event)
        missed.reverse()
        return missed

    def _cursor_of(self, position: Position) -> str:
        return cursor_of(self._horizon.epoch, position)

    def _position_of(self, cursor: str) -> Position | None:
        """The position of a cursor; None where it is not one of these."""
        return position_of(self._horizon.epoch, cursor)
