"""What a program printed, bounded: of much, the beginning and the end, with a note between them."""

from __future__ import annotations


class BoundedOutput:
    """Keeps the first and the last half of what is added.

    Args:
        limit_bytes: how much is kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if (over := len(self._tail) - self._half) > 0:
            del self._tail[:over]
            self._left_out += over

    def text(self) -> str:
        """All of it, or what is kept of it; bytes that are not UTF-8 are replaced."""
        if not self._left_out:
            return (self._head + self._tail).decode("utf-8", "replace")
        head, tail = self._head.decode("utf-8", "replace"), self._tail.decode("utf-8", "replace")
        return f"{head}\n… {self._left_out:,} bytes left out …\n{tail}"
