"""The small parts of the door, each on its own."""

from __future__ import annotations

import json
import selectors
import socket
from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from controlplane.door.answers import error_response
from controlplane.door.arrival import request_path
from controlplane.door.listener import open_listeners, split_bind
from controlplane.door.sockets.backlog import Backlog
from controlplane.door.sockets.handshake import Refused, UpgradeHeaders
from controlplane.door.sockets.head import head_end, read_head, refusal
from controlplane.door.sockets.pace import Pace
from controlplane.door.sockets.partial import PartialMessage
from controlplane.door.sockets.readiness import ONLY_GONE, READ, WRITE, SelectorReadiness
from protocol.faults import Overloaded


class TestPace:
    def test_a_burst_then_the_rate(self):
        pace, due, taken = Pace(10, 5), 0.0, 0
        for _ in range(20):
            next_due = pace.next_due(due, 100.0)
            if next_due is not None:
                due, taken = next_due, taken + 1
        assert taken == 5
        assert pace.next_due(due, 100.04) is None
        assert pace.next_due(due, 100.11) is not None

    def test_rest_does_not_add_up_beyond_the_burst(self):
        pace, due, taken = Pace(10, 5), 0.0, 0
        for now in [0.0, *[1000.0] * 20]:
            next_due = pace.next_due(due, now)
            if next_due is not None:
                due, taken = next_due, taken + 1
        assert taken == 6


class TestPartialMessage:
    @given(st.text(), st.lists(st.integers(0, 30)))
    def test_utf_8_cut_anywhere_is_whole_again(self, text, cuts):
        data, message = text.encode(), PartialMessage(text=True)
        for cut in cuts:
            assert message.add(data[:cut], final=False)
            data = data[cut:]
        assert message.add(data, final=True)
        assert message.whole() == text.encode()

    def test_what_cannot_become_utf_8_is_known_at_once(self):
        message = PartialMessage(text=True)
        assert message.add(b"\xce\xba\xf4", final=False)
        assert not message.add(b"\x90", final=False)

    def test_an_unfinished_character_is_known_at_the_end(self):
        assert not PartialMessage(text=True).add(b"\xce", final=True)

    def test_binary_is_anything(self):
        message = PartialMessage(text=False)
        assert message.add(b"\xff\xfe", final=True)
        assert message.whole() == b"\xff\xfe"


class TestBacklog:
    @pytest.fixture
    def pair(self):
        one, other = socket.socketpair()
        with one, other:
            one.setblocking(False)
            yield one, other

    def test_it_drains_in_order(self, pair):
        one, other = pair
        backlog = Backlog()
        frames = [b"%04d" % number * 10 for number in range(300)]
        backlog.append(frames[0], already_sent=3)
        for frame in frames[1:]:
            backlog.append(frame)
        assert backlog.size_bytes == 300 * 40 - 3
        assert backlog.send(one)
        assert backlog.size_bytes == 0
        assert other.recv(20_000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"".join(frames)[3:]

    def test_a_started_frame_is_finished_and_the_rest_forgotten(self, pair):
        one, other = pair
        backlog = Backlog()
        frames = [bytes((number,)) * 100_000 for number in range(20)]
        for frame in frames:
            backlog.append(frame)
        assert backlog.send(one)
        sent = 20 * 100_000 - backlog.size_bytes
        assert 0 < sent < 20 * 100_000
        backlog.forget_unstarted()
        backlog.append(b"the end")
        received = bytearray()
        while backlog.size_bytes:
            received += other.recv(1_000_000)
            backlog.send(one)
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                received += other.recv(1_000_000)
        whole = -(-sent // 100_000)
        assert received == b"".join(frames[:whole]) + b"the end"


class TestHead:
    @pytest.mark.parametrize(
        ("data", "end"),
        [(b"GET", None), (b"a\r\nb\r\n\r\nrest", 8), (b"a\n\nrest", 3), (b"a\n\r\n", 4), (b"\r\n", None)],
    )
    def test_where_it_ends(self, data, end):
        assert head_end(data) == end

    def test_what_a_route_sees(self):
        head = (
            b"GET /socket?key=1&x=%20 HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n"
        )
        opening = read_head(head, "192.0.2.1")
        upgrade = opening.upgrade
        assert (upgrade.path, upgrade.query, upgrade.remote_address) == ("/socket", "key=1&x=%20", "192.0.2.1")
        assert upgrade.subprotocols == ["a", "b", "c"]
        assert upgrade.headers.get("X-TWICE") == "1, 2"
        answer = opening.accept("b")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
        assert b"\r\nSec-WebSocket-Protocol: b\r\n" in answer

    def test_headers_without_regard_to_case(self):
        headers = UpgradeHeaders({"Authorization": "Bearer x"})
        assert headers["authorization"] == "Bearer x"
        assert "AUTHORIZATION" in headers
        assert headers.get("missing", "default") == "default"

    def test_refusals(self):
        answer = refusal(Refused.of(Overloaded("later", retry_after_seconds=0.2)))
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 1\r\n" in answer
        answer = refusal(Refused(401, "UNAUTHORIZED", "no", {"WWW-Authenticate": 'Bearer realm="hub"'}))
        assert answer.count(b"WWW-Authenticate") == 1


def test_an_error_response_is_whole():
    head, _, body = error_response(418, "TEAPOT", "ünlikely", headers={"X": "y"}).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 418 ")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"
    expected = {"success": False, "error": {"code": "TEAPOT", "message": "ünlikely", "details": []}}
    assert json.loads(body) == expected


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET /a/b?c=d HTTP/1.1\r", "/a/b"),
        (b"GET /a", "/a"),
        (b"GET /a\r", "/a"),
        (b"GET", ""),
        (b"", ""),
        (b"\x16\x03 \xff", "\ufffd"),
        (b"GET http://hub.test/a HTTP/1.1", "http://hub.test/a"),
    ],
)
def test_the_path_of_a_request_line(line, path):
    assert request_path(line) == path


class TestListening:
    @pytest.mark.parametrize(
        ("bind", "parts"),
        [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), (":8000", (None, 8000)), ("hub:1", ("hub", 1))],
    )
    def test_addresses(self, bind, parts):
        assert split_bind(bind) == parts

    @pytest.mark.parametrize("bind", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "h:-1"])
    def test_what_is_no_address_is_named(self, bind):
        with pytest.raises(ValueError, match="is not an address to listen on"):
            split_bind(bind)

    async def test_a_taken_port_is_refused_and_can_be_shared_on_purpose(self):
        (first,) = await open_listeners("127.0.0.1:0", reuse_port=True)
        bind = f"127.0.0.1:{first.getsockname()[1]}"
        with first:
            with pytest.raises(OSError):
                await open_listeners(bind)
            (second,) = await open_listeners(bind, reuse_port=True)
            second.close()


class TestSelectorReadiness:
    async def test_it_tells_what_epoll_tells(self):
        readiness = SelectorReadiness()
        one, other = socket.socketpair()
        with one, other:
            fd = one.fileno()
            readiness.register(fd, READ)
            assert readiness.poll() == []
            other.send(b"x")
            with trio.fail_after(1):
                await readiness.wait()
            assert readiness.poll() == [(fd, 1)]
            readiness.modify(fd, READ | WRITE)
            assert readiness.poll() == [(fd, 5)]
            readiness.modify(fd, ONLY_GONE)
            assert readiness.poll() == []
            readiness.modify(fd, READ)
            assert readiness.poll() == [(fd, 1)]
            readiness.unregister(fd)
            readiness.unregister(fd)
            assert readiness.poll() == []
        readiness.close()

    def test_a_system_without_is_told_so(self):
        with pytest.raises(RuntimeError, match="epoll or kqueue"):
            SelectorReadiness(selectors.SelectSelector())
