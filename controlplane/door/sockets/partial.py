"""A message in fragments: put together here, its UTF-8 checked as it comes (RFC 6455 sections 5.4 and 8.1)."""

from __future__ import annotations

import codecs

_new_decoder = codecs.getincrementaldecoder("utf-8")


class PartialMessage:
    """The fragments so far. Their number is unlimited, their size is the protocol's to limit.

    Args:
        text: whether the message must be UTF-8.
    """

    __slots__ = ("_data", "_decoder", "text")

    def __init__(self, *, text: bool) -> None:
        self.text = text
        self._data = bytearray()
        self._decoder = _new_decoder() if text else None

    def add(self, data: bytes, *, final: bool) -> bool:
        """Append a fragment.

        Returns:
            False as soon as the text cannot be UTF-8 any more.
        """
        if self._decoder is not None:
            try:
                self._decoder.decode(data, final)
            except UnicodeDecodeError:
                return False
        self._data += data
        return True

    def whole(self) -> bytes:
        """The message, once its last fragment was added."""
        return bytes(self._data)
