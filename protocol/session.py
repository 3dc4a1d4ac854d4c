"""The promise, Sans-I/O: sequence, acknowledge, resume and dedupe, for both ends of the tenant socket.

Promises go from the Hub to the wrapper, numbered from 1 without holes; messages go from the wrapper to the
Hub, each under its own id. Both are delivered at least once and taken exactly once. Neither class here reads
a clock, a socket or a disk: the caller moves the bytes and makes things durable, these say what may be sent,
what is new and what is due.

A withdrawn promise keeps its number and travels as `void`; to the sequence it is a promise like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

#: Messages a wrapper keeps on the way before it waits for the Hub's answers.
DEFAULT_WINDOW: Final = 64


class ProtocolBroken(Exception):
    """The peer said what it cannot know: the connection is to be closed with 4006."""


class Verdict(Enum):
    """What a number, or an id, is to this end."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"


def _judge(seq: int, last: int) -> Verdict:
    """Where `seq` stands after `last`: the one rule that both ends share."""
    if seq <= last:
        return Verdict.DUPLICATE
    return Verdict.NEW if seq == last + 1 else Verdict.GAP


class HubSession:
    """The Hub's end, made by `resume` when a wrapper has said hello; one for each connection.

    Attributes:
        resumed_from: what `welcome.resumedFrom` says; the first promise to send is the next one.
        acknowledged: every promise up to here is in the wrapper's journal.
        sent: every promise up to here has been sent on this connection, or was acknowledged before.
    """

    __slots__ = ("_in_hand", "acknowledged", "resumed_from", "sent")

    def __init__(self, resumed_from: int) -> None:
        self.resumed_from = resumed_from
        self.acknowledged = resumed_from
        self.sent = resumed_from
        self._in_hand: set[str] = set()

    @classmethod
    def resume(cls, *, last_seq: int, acknowledged: int, issued: int) -> HubSession:
        """Begin where both ends are known to stand.

        A wrapper that knows more than was acknowledged had journalled it before the last connection broke:
        that is an acknowledgement (the caller makes `acknowledged` durable when it is above the book's). One
        that knows less has lost its journal: what it once acknowledged is never played to it again, and it
        adopts `resumed_from`.

        Args:
            last_seq: `hello.lastSeq`.
            acknowledged: the book's mark.
            issued: the highest number the book has allotted.

        Raises:
            ProtocolBroken: the wrapper claims a promise that was never made.
        """
        if last_seq > issued:
            raise ProtocolBroken(f"hello.lastSeq is {last_seq}, but only {issued} promises were made")
        return cls(max(last_seq, acknowledged))

    def sending(self, seq: int) -> Verdict:
        """Ask before sending promise `seq`: NEW means send it now, and counts it as sent.

        DUPLICATE: it is on its way already. GAP: earlier ones were not sent yet; load from `sent + 1` in the
        book.
        """
        verdict = _judge(seq, self.sent)
        if verdict is Verdict.NEW:
            self.sent = seq
        return verdict

    @property
    def outstanding(self) -> int:
        """How many promises are sent and not acknowledged."""
        return self.sent - self.acknowledged

    def acknowledge(self, seq: int) -> int:
        """Take a cumulative `ack`; returns how many promises it newly covers (0: old news).

        Raises:
            ProtocolBroken: it covers what was not sent.
        """
        if seq > self.sent:
            raise ProtocolBroken(f"ack of {seq}, but only {self.sent} was sent")
        newly = max(0, seq - self.acknowledged)
        self.acknowledged += newly
        return newly

    def message(self, message_id: str) -> Verdict:
        """A wrapper's message arrived: NEW means take it to the book (which knows whether it was taken
        before).

        DUPLICATE: the same id is being committed at this moment; its answer will do for both, so drop this
        one.
        """
        if message_id in self._in_hand:
            return Verdict.DUPLICATE
        self._in_hand.add(message_id)
        return Verdict.NEW

    def answered(self, message_id: str) -> None:
        """The message is committed (`accepted`) or not taken (`refused`): a repetition goes to the book
        again.
        """
        self._in_hand.discard(message_id)

    @property
    def in_hand(self) -> int:
        """How many messages are being committed."""
        return len(self._in_hand)


class WrapperSession:
    """The wrapper's end; outlives connections, and is rebuilt from the journal after a crash.

    Args:
        last_seq: the journal's mark: every promise up to here is durable.
        unaccepted: ids of the journal's messages that the Hub has not answered, oldest first.
        window: how many messages may be on the way unanswered.

    Attributes:
        journalled: every promise up to here is durable.
    """

    def __init__(self, *, last_seq: int, unaccepted: Iterable[str] = (), window: int = DEFAULT_WINDOW) -> None:
        self.journalled = last_seq
        self._received = last_seq
        self._heard = last_seq
        self._acked: int | None = None
        self._ack_again = False
        self._window = window
        self._waiting: dict[str, None] = dict.fromkeys(unaccepted)
        self._on_the_way: dict[str, None] = {}
        self._set_aside: dict[str, None] = {}

    # --- connection --------------------------------------------------------------------------------------

    def connecting(self) -> int:
        """A new connection begins; returns `hello.lastSeq`. What the last one left unanswered, or set aside, is sent
        again before what is newer.
        """
        self.disconnected()
        return self.journalled

    def disconnected(self) -> None:
        """A connection has ended: what it left unanswered is free for the next one, or for another carrier."""
        self._received = self.journalled
        self._acked = None
        self._ack_again = False
        self._waiting = {**self._on_the_way, **self._set_aside, **self._waiting}
        self._on_the_way = {}
        self._set_aside = {}

    def welcomed(self, resumed_from: int) -> bool:
        """Take `welcome.resumedFrom`. True: it is ahead of the journal, which must adopt it before anything
        is acked.

        The caller then journals the mark and says `committed(resumed_from)`.
        """
        self._acked = min(resumed_from, self.journalled)
        self._heard = resumed_from
        if resumed_from <= self.journalled:
            return False
        self._received = resumed_from
        return True

    # --- promises ----------------------------------------------------------------------------------------

    def promise(self, seq: int) -> Verdict:
        """A promise (or `void`) arrived: NEW means journal it; DUPLICATE, drop it; GAP, close and
        reconnect.
        """
        verdict = _judge(seq, self._received)
        if verdict is not Verdict.GAP:
            self._heard = max(self._heard, seq)
        if verdict is Verdict.NEW:
            self._received = seq
        elif verdict is Verdict.DUPLICATE:
            self._ack_again = True
        return verdict

    def committed(self, seq: int) -> None:
        """Every promise up to `seq` is now durable in the journal, by whichever carrier it came."""
        self.journalled = max(self.journalled, seq)
        self._received = max(self._received, seq)

    def ack_due(self) -> int | None:
        """The cumulative `ack` to send now, counted as sent; None when the Hub knows already.

        It never covers what this connection has not brought: the Hub would take that for a broken protocol. What
        another carrier brought meanwhile is acknowledged when it comes by this one too.
        """
        if self._acked is None:
            return None
        mark = min(self.journalled, self._heard)
        if mark > self._acked or self._ack_again:
            self._acked = mark
            self._ack_again = False
            return mark
        return None

    # --- messages ----------------------------------------------------------------------------------------

    def enqueue(self, message_id: str) -> None:
        """A message is durable in the journal and may be sent."""
        self._waiting[message_id] = None

    def to_send(self) -> list[str]:
        """The messages that may be sent now, oldest first, within the window; counted as on their way."""
        room = self._window - len(self._on_the_way)
        chosen: list[str] = []
        for message_id in self._waiting:
            if len(chosen) >= room:
                break
            chosen.append(message_id)
        for message_id in chosen:
            del self._waiting[message_id]
            self._on_the_way[message_id] = None
        return chosen

    def accepted(self, ids: Iterable[str]) -> list[str]:
        """The Hub has committed these; returns those that were still owed, to be taken off the journal."""
        return [message_id for message_id in ids if self._forget(message_id)]

    def refused(self, message_id: str, *, temporary: bool) -> bool:
        """The Hub did not take this one; returns whether it was still owed.

        A temporary refusal sets it aside until `retry` or the next connection; a permanent one is the end of it.
        """
        known = self._forget(message_id)
        if known and temporary:
            self._set_aside[message_id] = None
        return known

    def unanswered(self, ids: Iterable[str]) -> None:
        """The carrier that was to bring these has stopped before they were answered: another may send them."""
        returned = [message_id for message_id in ids if message_id in self._on_the_way]
        for message_id in returned:
            del self._on_the_way[message_id]
        self._waiting = {**dict.fromkeys(returned), **self._waiting}

    def retry(self, message_id: str) -> None:
        """Send a set-aside message again."""
        if message_id in self._set_aside:
            del self._set_aside[message_id]
            self._waiting[message_id] = None

    @property
    def owed(self) -> int:
        """How many messages the Hub has not taken yet."""
        return len(self._waiting) + len(self._on_the_way) + len(self._set_aside)

    def _forget(self, message_id: str) -> bool:
        for place in (self._on_the_way, self._waiting, self._set_aside):
            if message_id in place:
                del place[message_id]
                return True
        return False
