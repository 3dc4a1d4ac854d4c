"""The shortcut for plain text frames says what the Sans-I/O protocol says; the writing side is read by it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import TEXT, Frame
from websockets.protocol import CLIENT, OPEN, Protocol

from controlplane.door.sockets.frames import binary_frame, plain_text_at, text_frame
from controlplane.door.sockets.sansio import FrameProtocol

LIMIT = 2000


def decoded(data: bytes) -> list[Frame]:
    protocol = FrameProtocol()
    protocol.max_message_size = LIMIT
    protocol.receive_data(data)
    return [event for event in protocol.events_received() if isinstance(event, Frame)]


@given(
    first=st.one_of(st.just(0x81), st.integers(0, 255)),
    length=st.one_of(st.integers(0, 130), st.integers(1990, 2010), st.just(70_000)),
    masked=st.booleans(),
    wide=st.booleans(),
    cut=st.integers(0, 20),
    mask=st.binary(min_size=4, max_size=4),
    seed=st.integers(0, 255),
)
@example(first=0x81, length=5, masked=True, wide=True, cut=0, mask=b"abcd", seed=7)
def test_the_shortcut_agrees_with_the_protocol(first, length, masked, wide, cut, mask, seed):
    payload = bytes((seed + at) % 256 for at in range(length))
    masked_payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if masked else payload
    bit = 0x80 if masked else 0
    if length < 126 and not wide:
        head = bytes((first, bit | length))
    elif length < 0x10000:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    data = head + (mask if masked else b"") + masked_payload
    data = data[: len(data) - cut]
    before = b"\xee" * 3
    plain = plain_text_at(bytearray(before + data + b"\x99" * 9), 3, 3 + len(data), LIMIT)
    if plain is not None:
        assert plain == (payload, 3 + len(data))
        (frame,) = decoded(data)
        assert (frame.opcode, frame.fin, frame.data) == (TEXT, True, payload)
    elif first == 0x81 and masked and not cut and length <= LIMIT:
        pytest.fail("the shortcut missed a plain frame")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
def test_what_is_written_is_read_by_a_client(length):
    data = b"x" * length
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(text_frame(data) + binary_frame(data))
    text, binary = client.events_received()
    assert (text.opcode.name, text.fin, text.data) == ("TEXT", True, data)
    assert (binary.opcode.name, binary.fin, binary.data) == ("BINARY", True, data)
