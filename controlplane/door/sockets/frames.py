"""Frames as the server writes them, and the common shape that it reads without ceremony (RFC 6455 section 5.2)."""

from __future__ import annotations

from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

_TEXT: Final = 0x81  # FIN and the opcode of text, no reserved bits
_BINARY: Final = 0x82
_MASKED: Final = 0x80
_SHORT_TEXT_HEADS: Final = [bytes((_TEXT, length)) for length in range(126)]


def text_frame(data: bytes) -> bytes:
    """A whole text message in one unmasked frame; make it once to send it to many."""
    length = len(data)
    if length < 126:
        return _SHORT_TEXT_HEADS[length] + data
    return _long_head(_TEXT, length) + data


def binary_frame(data: bytes) -> bytes:
    """A whole binary message in one unmasked frame."""
    length = len(data)
    if length < 126:
        return bytes((_BINARY, length)) + data
    return _long_head(_BINARY, length) + data


def _long_head(first: int, length: int) -> bytes:
    if length < 0x10000:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def plain_text_at(buffer: bytearray, start: int, end: int, limit: int) -> tuple[bytes, int] | None:
    """Read one frame of the shape nearly every frame has: a whole text message, masked, below 64 KiB, all of it here.

    Everything else, and whatever is wrong, is left to the Sans-I/O protocol: this is a shortcut past its generators
    which halves the cost of a message, not a second opinion on RFC 6455.

    Args:
        buffer: received bytes.
        start: where the frame begins.
        end: where the received bytes end.
        limit: largest payload in bytes.

    Returns:
        The unmasked payload and where the next frame begins; None when the shape is another.
    """
    if end - start < 6 or buffer[start] != _TEXT:
        return None
    second = buffer[start + 1]
    length = second - _MASKED
    if length < 126:
        if length < 0:
            return None
        mask_at = start + 2
    elif length == 126:
        mask_at = start + 4
        length = buffer[start + 2] << 8 | buffer[start + 3]
    else:
        return None
    payload_at = mask_at + 4
    after = payload_at + length
    if after > end or length > limit:
        return None
    return apply_mask(buffer[payload_at:after], buffer[mask_at:payload_at]), after
