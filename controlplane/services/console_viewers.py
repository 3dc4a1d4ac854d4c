"""Who watches what: the consoles of this node and the channels they listen to."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from controlplane.services.console_topics import Access, Channel, channels_watched
from controlplane.store.events import Position
from protocol.console import Unwatch, Watch
from protocol.words import UserType


class Receiver(Protocol):
    """One console's connection; every method is synchronous and never waits."""

    @property
    def open(self) -> bool: ...

    def send_frame(self, frame: bytes) -> bool:
        """Send a whole WebSocket frame, whose bytes many receivers share."""

    def close(self, code: int, reason: str = "") -> None: ...


class Viewer:
    """One open console.

    Attributes:
        owner: the customer whose things it sees; None for staff.
        topics: what it watches, each with the position after which it is told.
        catching_up: what it missed is being read; what it says meanwhile waits.
    """

    __slots__ = ("access", "catching_up", "owner", "receiver", "topics", "waiting")

    def __init__(self, receiver: Receiver, *, owner: UUID | None, access: Access) -> None:
        self.receiver = receiver
        self.owner = owner
        self.access = access
        self.topics: dict[str, Position] = {}
        self.catching_up = False
        self.waiting: deque[Watch | Unwatch] = deque()

    @property
    def audience(self) -> UserType:
        return UserType.STAFF if self.owner is None else UserType.CUSTOMER


class Viewers:
    """The viewers by channel."""

    def __init__(self) -> None:
        self._by_channel: dict[Channel, dict[Viewer, None]] = {}
        self._rooms: Counter[str] = Counter()

    def join(self, viewer: Viewer, topic: str, after: Position) -> None:
        """Have the viewer told what happens on a topic after a position."""
        viewer.topics[topic] = after
        for channel in channels_watched(viewer.owner, viewer.access, topic):
            listeners = self._by_channel.setdefault(channel, {})
            if viewer not in listeners:
                listeners[viewer] = None
                self._rooms[channel[2]] += 1

    def leave(self, viewer: Viewer, topic: str) -> None:
        """The viewer is no longer told of a topic."""
        if viewer.topics.pop(topic, None) is None:
            return
        for channel in channels_watched(viewer.owner, viewer.access, topic):
            listeners = self._by_channel.get(channel)
            if listeners is None or viewer not in listeners:
                continue
            del listeners[viewer]
            self._rooms[channel[2]] -= 1
            if not listeners:
                del self._by_channel[channel]

    def owners(self, topic: str, room: str) -> list[UUID]:
        """The customers who are told of a topic's room."""
        return [
            owner for owner, told, within in self._by_channel if owner is not None and (told, within) == (topic, room)
        ]

    def of(self, channel: Channel) -> Iterable[Viewer]:
        """Who listens to a channel."""
        return tuple(self._by_channel.get(channel, ()))

    def any_in(self, room: str) -> bool:
        """Whether anybody is told of this room."""
        return self._rooms[room] > 0
