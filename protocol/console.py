"""Frames of the console sockets in both directions, the kinds of events, and what those tell that no object does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.ids import ApprovalId, OrderId, ServerId
from protocol.objects import Server, Spoken
from protocol.tenant import Codec, Frame, Short
from protocol.words import BackupOutcome, Role

SUBPROTOCOL: Final = "letsbe.console.v1"
ADMIN_SOCKET_PATH: Final = "/api/v1/admin/socket"
CUSTOMER_SOCKET_PATH: Final = "/api/v1/customer/socket"
FRAME_LIMIT_BYTES: Final = 4 * 1024
#: How many topics one connection may watch.
TOPICS_MOST: Final = 50
#: The topic of one order is this and the order's id.
ORDER_TOPIC: Final = "order:"


class CloseCode:
    """Close codes: they carry the verdict."""

    GOING_AWAY: Final = 1001
    RESTARTING: Final = 1012
    TOO_BIG: Final = 1009
    SESSION_ENDED: Final = 4001
    SLOW_CONSUMER: Final = 4003
    TOO_FAST: Final = 4005
    BROKE_PROTOCOL: Final = 4006


Topic = Annotated[str, Meta(max_length=64)]
Topics = Annotated[list[Topic], Meta(min_length=1, max_length=TOPICS_MOST)]


# --- console to Hub -------------------------------------------------------------------------------------


class Watch(Frame, tag="watch"):
    """Tell me what happens on these topics from now on; with `since`, what has happened after that cursor too."""

    topics: Topics
    since: Short | None = None


class Unwatch(Frame, tag="unwatch"):
    """No longer tell me of these topics."""

    topics: Topics


# --- Hub to console -------------------------------------------------------------------------------------


class Welcome(Frame, tag="welcome"):
    """First frame of a connection; countdowns run on the Hub's time."""

    server_time: datetime
    heartbeat_seconds: int
    session_expires_at: datetime


class Watching(Frame, tag="watching"):
    """Answers `watch`: all up to `cursor` was sent, or is in what the routes answer from now on; the rest follows."""

    topics: list[str]
    cursor: str


class Event(Frame, tag="event"):
    """One committed change; within one object the highest `revision` counts."""

    cursor: str
    topic: str
    kind: str
    at: datetime
    revision: int
    data: msgspec.Raw


class PresenceChanged(Frame, tag="presence"):
    """How a server is now: state, coalesced and never replayed."""

    topic: str
    at: datetime
    server: Server


class SnapshotNeeded(Frame, tag="snapshotNeeded"):
    """The gap behind `since` is older or larger than what is kept: read the snapshot; it is watched from here."""

    topic: str
    cursor: str


class Refused(Frame, tag="refused"):
    """This topic is not watched, or no longer, and why."""

    topic: str
    code: str
    message: str


class SessionChanged(Frame, tag="sessionChanged"):
    """The member of staff has another role now."""

    role: Role


FromConsole = Watch | Unwatch
ToConsole = Welcome | Watching | Event | PresenceChanged | SnapshotNeeded | Refused | SessionChanged

from_console: Final = Codec(FromConsole)
to_console: Final = Codec(ToConsole)


# --- what has happened before, by HTTP ----------------------------------------------------------------------


class PastEvent(Spoken):
    """One committed change as it is read later; the same as the frame `event`."""

    cursor: str
    kind: str
    at: datetime
    revision: int
    data: msgspec.Raw


# --- what events tell that is no object of its own ---------------------------------------------------------


class DecisionDelivered(Spoken):
    """`approval.delivered`: the wrapper has acknowledged a decision; the times of the approval `id`, nothing else."""

    id: ApprovalId
    order_id: OrderId
    sent_at: datetime
    acknowledged_at: datetime


class ServerTold(Spoken):
    """`server.registered`, `.connected`, `.disconnected`, `.keyRevoked`; how the server is follows as presence."""

    order_id: OrderId
    server_id: ServerId
    epoch: int | None = None


class WebhooksTold(Spoken):
    """`server.webhooksDisabled`: its address takes none; `.webhooksExhausted`: none was taken in all tries;
    `.webhooksEnabled`: staff lets them be tried again.
    """

    order_id: OrderId
    server_id: ServerId
    reason: str


class ConfigTold(Spoken):
    """`config.offered`, `.applied`, `.failed`."""

    order_id: OrderId
    config_version: int
    config_hash: str
    error: str | None = None


class UsageTold(Spoken):
    """`usage.reported`: the sums of one report."""

    order_id: OrderId
    agents: list[str]
    tokens: int
    cost_cents: int


class BackupTold(Spoken):
    """`backup.reported`."""

    order_id: OrderId
    status: BackupOutcome
    started_at: datetime | None
    finished_at: datetime | None
    size_bytes: int | None
    detail: str | None


class ActivityTold(Spoken):
    """`activity.recorded`."""

    order_id: OrderId
    agent_id: str
    kind: str
    summary: str
    at: datetime
    data: msgspec.Raw


class ImageTold(Spoken):
    """`image.reported`."""

    order_id: OrderId
    image: str
    status: str
    digest: str | None
    created: datetime | None


class SettingsTold(Spoken):
    """`settings.changed`: which settings of the Hub were changed; never their values."""

    names: list[str]


class AccountTold(Spoken):
    """Something about how somebody signs in has changed.

    `account.…` of customers, `staff.…` of staff: `signedIn`, `signedOut`, `passwordChanged`, `twoFactorEnabled`,
    `twoFactorDisabled`, `backupCodesMade`, `backupCodeUsed`; of customers `preferencesChanged` too.
    """

    account_id: str
    detail: str | None = None
