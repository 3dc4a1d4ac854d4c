"""An actor's mailbox: two bounded lanes, control before the rest, each first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from actors.runtime.message import Asked


class _Nothing:
    __slots__ = ()


NOTHING: Final = _Nothing()  # what an empty mailbox yields; None may be a message


class Mailbox:
    """Bounded lanes of waiting entries (bare messages, or `Asked` envelopes).

    Made with the first message and dropped when the actor rests, so that an idle actor carries none.

    Parameters: `most`, `most_control`: how many entries each lane may hold.
    """

    __slots__ = ("_control", "_lane", "_most", "_most_control")

    def __init__(self, most: int, most_control: int) -> None:
        self._lane: deque[object] = deque()
        self._control: deque[object] | None = None
        self._most = most
        self._most_control = most_control

    def put(self, entry: object, control: bool) -> bool:
        """Take the entry; False when its lane is full."""
        if control:
            lane = self._control
            if lane is None:
                lane = self._control = deque()
            if len(lane) >= self._most_control:
                return False
        else:
            lane = self._lane
            if len(lane) >= self._most:
                return False
        lane.append(entry)
        return True

    def take(self) -> object:
        """The next entry, control first; `NOTHING` when empty."""
        if self._control:
            return self._control.popleft()
        if self._lane:
            return self._lane.popleft()
        return NOTHING

    def remove(self, entry: object) -> bool:
        """Take back an entry that has not begun; False when it is not here."""
        for lane in (self._lane, self._control):
            if lane is None:
                continue
            for position, waiting in enumerate(lane):
                if waiting is entry:
                    del lane[position]
                    return True
        return False

    def take_asks(self) -> list[Asked]:
        """Take out the asks and leave the rest."""
        asks = [entry for entry in self if isinstance(entry, Asked)]
        self._lane = deque(entry for entry in self._lane if not isinstance(entry, Asked))
        if self._control is not None:
            self._control = deque(entry for entry in self._control if not isinstance(entry, Asked))
        return asks

    def clear(self) -> list[object]:
        """Empty both lanes and return what was in them, in the order it would have been handled."""
        left = list(self)
        self._lane.clear()
        self._control = None
        return left

    @property
    def waiting_control(self) -> int:
        return len(self._control) if self._control is not None else 0

    def __len__(self) -> int:
        return len(self._lane) + self.waiting_control

    def __iter__(self) -> Iterator[object]:
        yield from self._control or ()
        yield from self._lane
