"""Frames of the tenant socket in both directions, and their codecs: one tagged JSON object a text frame."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from protocol.objects import HeartbeatBody, TenantConfig, UsageBucket
from protocol.words import (
    ApprovalOutcome,
    BackupOutcome,
    CommandClass,
    CommandResultStatus,
    SettledAction,
)

SUBPROTOCOL: Final = "letsbe.tenant.v1"
SOCKET_PATH: Final = "/api/v1/tenant/socket"
PROTOCOL_VERSION: Final = 1
FRAME_LIMIT_BEFORE_HELLO_BYTES: Final = 64 * 1024
FRAME_LIMIT_BYTES: Final = 1024 * 1024
HELLO_WITHIN_SECONDS: Final = 10

MessageId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Short = Annotated[str, Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Long = Annotated[str, Meta(max_length=200_000)]
#: JSON kept as it came, when none came. (msgspec takes nothing but null for `Raw | None`.)
NOTHING: Final = msgspec.Raw(b"null")
#: A moment with its UTC offset.
Moment = Annotated[datetime, Meta(tz=True)]
Seq = Annotated[int, Meta(ge=0, le=2**62)]


class CloseCode:
    """Close codes: they carry the verdict."""

    DONE: Final = 1000
    GOING_AWAY: Final = 1001
    RESTARTING: Final = 1012
    TOO_BIG: Final = 1009
    REPLACED: Final = 4000
    KEY_REVOKED: Final = 4001
    NO_COMMON_PROTOCOL: Final = 4002
    SLOW_CONSUMER: Final = 4003
    SILENT: Final = 4004
    TOO_FAST: Final = 4005
    BROKE_PROTOCOL: Final = 4006


class Frame(msgspec.Struct, rename="camel"):
    """Base of all frames."""


# --- Hub to wrapper -------------------------------------------------------------------------------------


class Welcome(Frame, tag="welcome"):
    """Answers `hello`; everything unacknowledged after `resumedFrom` follows at once."""

    protocol: int
    session_id: str
    epoch: int
    server_time: datetime
    heartbeat_seconds: int
    max_frame_bytes: int
    config_version: int
    resumed_from: int


class Promise(Frame):
    """Durable and numbered: base of what must arrive."""

    seq: int


class Command(Promise, tag="command"):
    """Run this; a promise."""

    id: str
    command_type: str
    payload: msgspec.Raw
    issued_at: datetime
    expires_at: datetime


class ApprovalSettled(Promise, tag="approvalSettled"):
    """An approval has been decided, or has expired; a promise."""

    approval_id: str
    request_id: str
    action: SettledAction
    responded_by: str | None
    reason: str | None
    args_hash: str
    settled_at: datetime


class ConfigOffered(Promise, tag="configOffered"):
    """A new configuration; a promise. Older unacknowledged offers become `void`."""

    config_version: int
    config_hash: str
    config: TenantConfig


class Void(Promise, tag="void"):
    """A promise withdrawn: it keeps its number and says nothing else."""


class Accepted(Frame, tag="accepted"):
    """The Hub has committed these wrapper messages."""

    ids: list[str]


class Refused(Frame, tag="refused"):
    """One wrapper message was not taken, and why; `temporary` ones may be sent again later."""

    id: str
    code: str
    message: str
    temporary: bool = False


class Query(Frame, tag="query"):
    """A live question; not durable."""

    id: str
    kind: str
    params: dict[str, Any] = {}
    deadline_ms: int = 5000


class Drain(Frame, tag="drain"):
    """This node is going away: reconnect elsewhere, spread by jitter."""

    reconnect_after_ms: int


# --- wrapper to Hub -------------------------------------------------------------------------------------


class Hello(Frame, tag="hello"):
    """First frame of a connection; `capabilities` are the frame type names the wrapper takes."""

    protocol_min: int
    protocol_max: int
    wrapper_version: Short
    boot_id: Annotated[str, Meta(min_length=1, max_length=64)]
    openclaw_version: Short | None = None
    last_seq: Seq = 0
    config_version: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    config_hash: Short | None = None
    capabilities: Annotated[list[Short], Meta(max_length=100)] = []


class Heartbeat(HeartbeatBody, tag="heartbeat"):
    """How the tenant is: state, only the latest counts."""


class Ack(Frame, tag="ack"):
    """Cumulative: all promises up to `seq` are journalled."""

    seq: Seq


class Message(Frame):
    """Carries an id made by the wrapper, re-sent until accepted or refused; the Hub takes each once."""

    id: MessageId


class CommandResult(Message, tag="commandResult"):
    command_id: Name
    status: CommandResultStatus
    output: Long | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None


class ApprovalRequest(Message, tag="approvalRequest"):
    """An agent's command wants a person's decision; `id` is the approval's `requestId`."""

    agent_id: Name
    command_class: CommandClass
    tool_name: Name
    tool_args: msgspec.Raw
    args_hash: Short
    human_readable: Annotated[str, Meta(min_length=1, max_length=200_000)]
    impact: Annotated[str, Meta(max_length=2000)] | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=30 * 86400)] = 86400


class ApprovalOutcomeReport(Message, tag="approvalOutcome"):
    """What became of an approved command."""

    approval_id: Name
    outcome: ApprovalOutcome
    detail: Long | None = None


class ConfigApplied(Message, tag="configApplied"):
    config_version: int
    config_hash: Short
    ok: bool
    error: Annotated[str, Meta(max_length=10_000)] | None = None


class Usage(Message, tag="usage"):
    buckets: Annotated[list[UsageBucket], Meta(min_length=1, max_length=5000)]


class BackupStatus(Message, tag="backupStatus"):
    status: BackupOutcome
    started_at: Moment | None = None
    finished_at: Moment | None = None
    size_bytes: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    detail: Long | None = None


class Activity(Message, tag="activity"):
    agent_id: Name
    kind: Name
    summary: Annotated[str, Meta(max_length=10_000)]
    at: Moment | None = None
    data: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)  # a schema cannot tell a Raw default


class ImageUpdate(Message, tag="imageUpdate"):
    image: Name
    status: Name
    digest: Short | None = None
    created: Moment | None = None


class Unanswered:
    """Why a `query` has no answer: the `code` of a reply that is not ok."""

    UNKNOWN: Final = "UNKNOWN_QUERY"  # a kind of a newer Hub
    NOT_CONFIGURED: Final = "NOT_CONFIGURED"
    NOT_FOUND: Final = "NOT_FOUND"
    BAD_PARAMS: Final = "BAD_PARAMS"
    FAILED: Final = "FAILED"
    TOO_LATE: Final = "TOO_LATE"
    BUSY: Final = "BUSY"


class Reply(Frame, tag="reply"):
    """Answer to `query`."""

    query_id: str
    ok: bool
    data: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)  # a schema cannot tell a Raw default
    error: str | None = None
    code: str | None = None


ToTenant = Welcome | Command | ApprovalSettled | ConfigOffered | Void | Accepted | Refused | Query | Drain
FromTenant = (
    Hello
    | Heartbeat
    | Ack
    | CommandResult
    | ApprovalRequest
    | ApprovalOutcomeReport
    | ConfigApplied
    | Usage
    | BackupStatus
    | Activity
    | ImageUpdate
    | Reply
)
TenantMessage = (
    CommandResult
    | ApprovalRequest
    | ApprovalOutcomeReport
    | ConfigApplied
    | Usage
    | BackupStatus
    | Activity
    | ImageUpdate
)

#: Frame types every wrapper takes without naming them in `capabilities`.
ALWAYS_ALLOWED: Final = frozenset({"welcome", "void", "accepted", "refused"})


class NotAFrame(ValueError):
    """The bytes are not a JSON object with a `type`: the peer broke the protocol."""


class UnknownType(ValueError):
    """A frame type this end does not know: to be ignored and counted."""

    def __init__(self, frame_type: str) -> None:
        super().__init__(f"unknown frame type {frame_type!r}")
        self.frame_type = frame_type


class BadFrame(ValueError):
    """A known type with bad fields; `message_id` is its id where it has one, so that it can be refused."""

    def __init__(self, frame_type: str, message_id: str | None, problem: str) -> None:
        super().__init__(problem)
        self.frame_type = frame_type
        self.message_id = message_id


class _Tag(msgspec.Struct):
    type: str
    id: Any = None


class Codec:
    """Encodes and decodes the frames of one direction."""

    def __init__(self, union: Any) -> None:
        self._decoder = msgspec.json.Decoder(union)
        self._known = {frame.__struct_config__.tag for frame in union.__args__}
        self._tag = msgspec.json.Decoder(_Tag)

    def decode(self, data: bytes) -> Any:
        """Read one frame.

        Raises:
            NotAFrame: not JSON, or no `type`.
            UnknownType: a type of a newer peer.
            BadFrame: a known type whose fields are wrong.
        """
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._explain(data, error) from error

    def _explain(self, data: bytes, error: Exception) -> ValueError:
        try:
            tag = self._tag.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return NotAFrame(str(error))
        if tag.type not in self._known:
            return UnknownType(tag.type[:100])
        return BadFrame(tag.type, tag.id if isinstance(tag.id, str) and tag.id else None, str(error))


_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def frame_type(frame: Frame | HeartbeatBody) -> str:
    """The `type` a frame travels under."""
    return str(frame.__struct_config__.tag)


from_tenant: Final = Codec(FromTenant)
to_tenant: Final = Codec(ToTenant)
