"""Presence: what the age of the last word says of a wrapper."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from protocol.words import Presence

LATE_AFTER_HEARTBEATS: Final = 1.5
OFFLINE_AFTER_HEARTBEATS: Final = 3.0
HTTP_HEARTBEAT_SECONDS: Final = 300


def presence_of(
    *, carrier: str | None, last_seen_at: datetime | None, now: datetime, heartbeat_seconds: int
) -> Presence:
    """Online, late or offline.

    Args:
        carrier: `socket` while one is open, `http` for a wrapper that polls, None after the socket has closed.
        heartbeat_seconds: the socket's interval; over HTTP it is the specification's five minutes.
    """
    if carrier is None or last_seen_at is None:
        return Presence.OFFLINE
    interval = HTTP_HEARTBEAT_SECONDS if carrier == "http" else heartbeat_seconds
    beats = (now - last_seen_at).total_seconds() / interval
    if beats < LATE_AFTER_HEARTBEATS:
        return Presence.ONLINE
    return Presence.LATE if beats < OFFLINE_AFTER_HEARTBEATS else Presence.OFFLINE
