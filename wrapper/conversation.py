"""One connection to the Hub, from hello to its end: reads, journals, acknowledges, sends, and notices silence."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Never, TypeVar

import structlog
import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection

from protocol.session import WrapperSession
from protocol.tenant import (
    FRAME_LIMIT_BYTES,
    HELLO_WITHIN_SECONDS,
    PROTOCOL_VERSION,
    Ack,
    CloseCode,
    Drain,
    Frame,
    Heartbeat,
    Hello,
    Query,
    Reply,
    Unanswered,
    Welcome,
    encode,
    to_tenant,
)
from wrapper.commands import HubTime
from wrapper.inbox import HubBroke, Inbox
from wrapper.journal import messages, promises
from wrapper.journal.database import Journal
from wrapper.ports import Randomness
from wrapper.reconnect import Ending

log = structlog.get_logger()

T = TypeVar("T")

#: A peer that takes nothing for this long is gone; the half frame it left behind ends the connection.
SEND_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 30.0
#: Frames taken together into one transaction, and read ahead of it.
BATCH: Final = 256
QUERIES: Final = 16
#: After `drain` the Hub closes; if it does not, this end does.
DRAIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a conversation works with; the same for every connection of a wrapper."""

    journal: Journal
    session: WrapperSession
    inbox: Inbox
    time: HubTime
    randomness: Randomness
    hello: Callable[[int], Hello]
    heartbeat: Callable[[], Heartbeat]


class Conversation:
    """Speaks on one open socket until it ends.

    Attributes:
        welcome: what the Hub answered; None before.
    """

    def __init__(self, socket: ClientConnection, parts: Parts) -> None:
        self._socket = socket
        self._parts = parts
        self._scope = trio.CancelScope()
        self._ending: Ending | None = None
        self._cut = False
        self._sending: set[trio.CancelScope] = set()
        self._wake = trio.Event()
        self._state: Heartbeat | None = None
        self._replies: deque[Reply] = deque()
        self._answering = 0
        self._set_aside: deque[tuple[float, str]] = deque()
        self._refused = trio.Event()
        self._given_seconds: float | None = None
        self._heard_at = trio.current_time()
        self.welcome: Welcome | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def finish(self) -> None:
        """End it politely: this process is about to stop."""
        if self._ending is None:
            self._ending = Ending(code=CloseCode.DONE, reason="stopping")
        self._stop()

    def _stop(self) -> None:
        """What is being sent may end, for a goodbye cannot follow half a frame; nothing else goes on."""
        for sending in self._sending:
            sending.deadline = min(sending.deadline, trio.current_time() + CLOSE_SECONDS)
        self._scope.cancel()

    async def run(self, on_welcome: Callable[[Welcome], None]) -> Ending:
        """Speak until the connection ends, and say how it did."""
        started = None
        try:
            with self._scope:
                self.welcome = await self._greet()
                started = trio.current_time()
                on_welcome(self.welcome)
                await self._speak(self.welcome)
        finally:
            self._parts.session.disconnected()
            await self._close()
        ending = self._ending or Ending(reason="lost")
        lasted = 0.0 if started is None else trio.current_time() - started
        return replace(
            ending,
            lasted_seconds=lasted,
            given_seconds=self._given_seconds,
            welcomed=started is not None,
            verdict=ending.code is not None and ending.code >= CloseCode.REPLACED,
        )

    async def _greet(self) -> Welcome:
        parts = self._parts
        await self._send(parts.hello(parts.session.connecting()))
        welcome = None
        with trio.move_on_after(HELLO_WITHIN_SECONDS * 2):
            welcome = await self._first()
        if welcome is None:
            return await self._end(Ending(reason="no welcome came"))
        if welcome.protocol != PROTOCOL_VERSION:
            return await self._end(Ending(code=CloseCode.NO_COMMON_PROTOCOL, reason="the Hub chose another protocol"))
        parts.time.learned(welcome.server_time.timestamp())
        if parts.session.welcomed(welcome.resumed_from):
            log.warning("journal.behind", had=parts.session.journalled, resumed_from=welcome.resumed_from)
            await parts.journal.run(promises.adopt, welcome.resumed_from)
            parts.session.committed(welcome.resumed_from)
        return welcome

    async def _first(self) -> Welcome:
        data = await self._receive()
        try:
            frame = to_tenant.decode(data)
        except ValueError as error:
            return await self._end(Ending(code=CloseCode.BROKE_PROTOCOL, reason=f"no welcome: {error}"))
        if not isinstance(frame, Welcome):
            return await self._end(Ending(code=CloseCode.BROKE_PROTOCOL, reason="something came before the welcome"))
        return frame

    async def _speak(self, welcome: Welcome) -> None:
        beat_seconds = float(min(max(welcome.heartbeat_seconds, 1), 3600))
        frames_in, frames_out = trio.open_memory_channel[bytes](BATCH)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, frames_in)
            nursery.start_soon(self._take, frames_out, nursery)
            nursery.start_soon(self._write, min(welcome.max_frame_bytes, FRAME_LIMIT_BYTES))
            nursery.start_soon(self._beat, beat_seconds)
            nursery.start_soon(self._watch, beat_seconds)
            nursery.start_soon(self._retry)

    # --- in ----------------------------------------------------------------------------------------------

    async def _read(self, frames: trio.MemorySendChannel[bytes]) -> None:
        while True:
            await frames.send(await self._receive())

    async def _take(self, frames: trio.MemoryReceiveChannel[bytes], nursery: trio.Nursery) -> None:
        while True:
            batch = [await frames.receive()]
            while len(batch) < BATCH:
                try:
                    batch.append(frames.receive_nowait())
                except trio.WouldBlock:
                    break
            try:
                heard = await self._parts.inbox.take(batch)
            except HubBroke as error:
                log.error("hub.broke_protocol", reason=str(error))
                await self._end(Ending(code=CloseCode.BROKE_PROTOCOL, reason=str(error)))
            due = trio.current_time() + RETRY_SECONDS * self._parts.randomness.uniform(0.5, 1.5)
            self._set_aside.extend((due, message_id) for message_id in heard.refused_for_now)
            if heard.refused_for_now:
                self._refused.set()
            for query in heard.queries:
                self._ask(query, nursery)
            if heard.drain is not None:
                nursery.start_soon(self._drain, heard.drain)
            self.wake()

    def _ask(self, query: Query, nursery: trio.Nursery) -> None:
        if self._answering >= QUERIES:
            busy = Reply(query_id=query.id, ok=False, error="too many questions at once", code=Unanswered.BUSY)
            self._replies.append(busy)
            while len(self._replies) > QUERIES * 4:
                self._replies.popleft()
            return
        self._answering += 1
        nursery.start_soon(self._answer, query)

    async def _answer(self, query: Query) -> None:
        self._replies.append(await self._parts.inbox.answer(query))
        self._answering -= 1
        self.wake()

    async def _drain(self, drain: Drain) -> None:
        self._given_seconds = max(drain.reconnect_after_ms / 1000, 0.0)
        log.info("hub.draining", reconnect_after_ms=drain.reconnect_after_ms)
        await trio.sleep(DRAIN_SECONDS)
        await self._end(Ending(code=CloseCode.GOING_AWAY, reason="the Hub drains"))

    # --- out ---------------------------------------------------------------------------------------------

    async def _write(self, limit_bytes: int) -> None:
        """The only sender of frames: what is due goes out in this order: acks, replies, state, messages."""
        session, journal = self._parts.session, self._parts.journal
        while True:
            self._wake = trio.Event()
            seq = session.ack_due()
            if seq is not None:
                await self._send(Ack(seq=seq))
            while self._replies:
                await self._send(self._replies.popleft())
            if self._state is not None:
                state, self._state = self._state, None
                await self._send(state)
            ids = [] if self._given_seconds is not None else session.to_send()
            if ids:
                frames = await journal.run(messages.load, ids)
                for message_id in ids:
                    await self._send_message(message_id, frames.get(message_id), limit_bytes)
            else:
                await self._wake.wait()

    async def _send_message(self, message_id: str, body: bytes | None, limit_bytes: int) -> None:
        if body is None:  # no longer owed: an approval request that expired while it waited
            self._parts.session.refused(message_id, temporary=False)
        elif len(body) > limit_bytes:
            reason = f"{len(body)} bytes, but the Hub takes {limit_bytes}"
            await self._parts.inbox.give_up(message_id, reason)
        else:
            await self._send_bytes(body)

    async def _beat(self, beat_seconds: float) -> None:
        while True:
            self._state = self._parts.heartbeat()
            self.wake()
            # A little jitter, so that a fleet which came back together does not beat together.
            await trio.sleep(beat_seconds * self._parts.randomness.uniform(0.9, 1.0))

    async def _retry(self) -> None:
        while True:
            self._refused = trio.Event()
            if not self._set_aside:
                await self._refused.wait()
            due, message_id = self._set_aside.popleft()
            await trio.sleep_until(due)
            self._parts.session.retry(message_id)
            self.wake()

    # --- life and end ------------------------------------------------------------------------------------

    async def _watch(self, beat_seconds: float) -> None:
        """Notice a Hub that is gone without a word: three heartbeats without a frame or a pong."""
        while True:
            await trio.sleep(beat_seconds)
            asked_at = trio.current_time()
            with trio.move_on_after(2 * beat_seconds) as limit:
                pong = await self._guard(self._socket.ping())
                await pong.wait()
                self._heard_at = trio.current_time()
            if limit.cancelled_caught and (self._cut or self._heard_at < asked_at):
                await self._end(Ending(reason="the Hub is silent"))

    async def _receive(self) -> bytes:
        try:
            data = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            return await self._end(_ending_of(closed))
        self._heard_at = trio.current_time()
        return data

    async def _send(self, frame: Frame | Heartbeat) -> None:
        await self._send_bytes(encode(frame))

    async def _send_bytes(self, data: bytes) -> None:
        await self._guard(self._socket.send(data, text=True))

    async def _guard(self, sending: Awaitable[T]) -> T:
        """Send something, whole even while all else is cancelled, or nothing may be sent after it."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + SEND_SECONDS) as scope:
            self._sending.add(scope)
            try:
                return await sending
            except ConnectionClosed as closed:
                ending = _ending_of(closed)
            except trio.Cancelled:
                self._cut = True
                raise
            finally:
                self._sending.discard(scope)
        if scope.cancelled_caught:
            ending = Ending(reason=f"the Hub took nothing for {SEND_SECONDS:g} s")
        return await self._end(ending)

    async def _end(self, ending: Ending) -> Never:
        """End this conversation; the first ending is the one that counts. Does not return."""
        if self._ending is None:
            self._ending = ending
        self._stop()
        await trio.sleep_forever()
        raise AssertionError

    async def _close(self) -> None:
        """Close politely where that is possible within a second, then by force: nobody waits for a dead peer."""
        code = self._ending.code if self._ending else CloseCode.DONE
        ours = code if code in (CloseCode.BROKE_PROTOCOL, CloseCode.NO_COMMON_PROTOCOL) else CloseCode.DONE
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
            if not self._cut:
                await self._socket.aclose(ours)
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._socket.stream)
        # The library's reader, which it waits for, pauses while more is queued than was read: take it all. Where all
        # is cancelled, that reader is too, and nothing more will come.
        with contextlib.suppress(ConnectionClosed), trio.move_on_after(CLOSE_SECONDS):
            while True:
                await self._socket.recv(decode=False)


def _ending_of(closed: ConnectionClosed) -> Ending:
    if closed.rcvd is None:
        return Ending(reason="lost")
    return Ending(code=closed.rcvd.code, reason=closed.rcvd.reason)
