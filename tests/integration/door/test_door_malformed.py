"""Bad bytes: thousands of malformed handshakes, frames and requests, after which the door serves as before."""

from __future__ import annotations

import random

import pytest
import trio

HANDSHAKES = 800
FRAMES = 1200
REQUESTS = 800
AT_ONCE = 40


def spoiled(data: bytes, dice: random.Random) -> bytes:
    """The same bytes with something wrong: cut, flipped, doubled, or with bytes thrown in."""
    spoiled = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(spoiled) + 1)
        match dice.randrange(5):
            case 0:
                del spoiled[at:]
            case 1 if at < len(spoiled):
                spoiled[at] ^= 1 << dice.randrange(8)
            case 2:
                spoiled[at:at] = dice.randbytes(dice.randint(1, 40))
            case 3:
                spoiled[at:at] = spoiled[: dice.randrange(60)]
            case 4:
                spoiled[at:at] = dice.choice([b"\r\n", b"\r\n\r\n", b"\0", b": ", b" HTTP/1.1", b"\xff"])
    return bytes(spoiled)


async def throw(door, inputs: list[bytes]) -> None:
    """Send each input on a connection of its own, some at a time, then leave without a word."""
    limit = trio.CapacityLimiter(AT_ONCE)

    async def one(data: bytes) -> None:
        async with limit, await door.dial() as stream:
            try:
                await stream.send_all(data)
                with trio.move_on_after(0.02):
                    while await stream.receive_some():
                        pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for data in inputs:
                nursery.start_soon(one, data)


@pytest.fixture
async def serving_as_before(door, until):
    """Checks at the end that the door serves, and that nothing is left of what was thrown at it."""
    neighbour = await door.upgraded()
    yield
    assert await door.says_hello()
    await neighbour.send_all(b"\x89\x80\x00\x00\x00\x00")
    with trio.fail_after(2):
        assert await neighbour.receive_some() == b"\x8a\x00"
    await until(lambda: len(door.door.poller) == 1 and not door.door.http.connections)


async def test_malformed_handshakes(door, serving_as_before):
    dice = random.Random(1)
    sound = door.upgrade_request("/api/v1/test/socket?x=y", "Sec-WebSocket-Protocol: a, b", "Cookie: c=d")
    await throw(door, [spoiled(sound, dice) for _ in range(HANDSHAKES)])


async def test_malformed_frames(door, serving_as_before, frame):
    dice = random.Random(2)
    sound = frame(0x81, b"hello") + frame(0x01, b"in ") + frame(0x89, b"p") + frame(0x80, b"parts") + frame(0x88, b"")
    inputs = [spoiled(sound, dice) for _ in range(FRAMES // 2)] + [dice.randbytes(60) for _ in range(FRAMES // 2)]
    await throw(door, [door.upgrade_request(tail=data) for data in inputs])


async def test_malformed_requests(door, serving_as_before):
    dice = random.Random(3)
    head = b"POST /length HTTP/1.1\r\nHost: hub.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    sound = head + b"5\r\nhello\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: hub.test\r\nUpgrade: websocket\r\n\r\n"
    inputs = [spoiled(sound, dice) for _ in range(REQUESTS // 2)]
    inputs += [dice.randbytes(dice.randint(1, 300)) for _ in range(REQUESTS // 2)]
    await throw(door, inputs)
