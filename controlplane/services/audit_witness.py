"""The audit chain's witness: what the state folder knows of it, where nobody reaches who reaches the database only."""

from __future__ import annotations

import os
from pathlib import Path

from controlplane.store.audit_chain import Anchor, anchors_in

_FILE_MODE = 0o600
_HEAD = "audit-head"
_ANCHORS = "audit-anchors"


class AuditWitness:
    """Two files: the newest head, which is replaced, and the anchors, one a day, which are only ever added to.

    Args:
        folder: the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._head = folder / _HEAD
        self._anchors = folder / _ANCHORS

    def head(self) -> Anchor | None:
        """The newest head; None before the first."""
        return next(iter(_read(self._head)), None)

    def anchors(self) -> list[Anchor]:
        """Every anchor that was kept, oldest first."""
        return _read(self._anchors)

    def all(self) -> list[Anchor]:
        """The anchors, and the newest head."""
        head = self.head()
        return self.anchors() if head is None else [*self.anchors(), head]

    def keep_head(self, head: Anchor) -> None:
        """Replace the head; on disk when this returns, and never half."""
        draft = self._head.with_name(f".{_HEAD}.{os.getpid()}")
        try:
            _write(draft, head.text() + "\n", os.O_TRUNC)
            draft.replace(self._head)
        finally:
            draft.unlink(missing_ok=True)

    def keep_anchor(self, anchor: Anchor) -> None:
        """Add an anchor; on disk when this returns."""
        # A line that a crash cut is ended first.
        cut = self._anchors.exists() and not self._anchors.read_bytes().endswith(b"\n")
        _write(self._anchors, ("\n" if cut else "") + anchor.text() + "\n", os.O_APPEND)


def _read(path: Path) -> list[Anchor]:
    return list(anchors_in(path.read_text(errors="replace"))) if path.exists() else []


def _write(path: Path, text: str, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, _FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
