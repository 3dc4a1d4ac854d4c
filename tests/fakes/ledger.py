"""What the fake tenant's book remembers of one order, as plain objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from actors.people import Author
from actors.ports import Beat, Delivery, Taken
from protocol.ids import ServerId
from protocol.objects import AgentConfig, CommandApproval, RemoteCommand, TenantConfig
from protocol.tenant import Void, encode


@dataclass
class Token:
    """A registration token."""

    order_id: UUID
    expires_at: datetime
    used: bool = False
    instance_id: str | None = None
    voided: bool = False


@dataclass
class Promised:
    """One row of the outbox."""

    delivery: Delivery
    void: bool = False

    @property
    def as_travelling(self) -> Delivery:
        one = self.delivery
        if not self.void:
            return one
        return Delivery(one.seq, "void", encode(Void(one.seq)), one.reference)


@dataclass
class Machine:
    """A registered server."""

    id: ServerId
    key_prefix: str
    key_used: bool = False
    revoked: bool = False
    epoch: int = 0
    session_id: str | None = None
    issued_seq: int = 0
    acked_seq: int = 0
    heartbeat: Beat | None = None
    last_seen_at: datetime | None = None


@dataclass
class Arrival:
    """A message that was taken, with its verdict."""

    kind: str
    taken: Taken


@dataclass
class Ledger:
    """Everything of one order."""

    id: UUID
    customer_id: UUID
    machine: Machine | None = None
    outbox: list[Promised] = field(default_factory=list)
    approvals: dict[UUID, CommandApproval] = field(default_factory=dict)
    commands: dict[UUID, RemoteCommand] = field(default_factory=dict)
    inbox: dict[str, Arrival] = field(default_factory=dict)
    agents: dict[str, AgentConfig] = field(default_factory=dict)
    config: TenantConfig | None = None
    reports: list[object] = field(default_factory=list)

    @property
    def config_version(self) -> int:
        return 0 if self.config is None else self.config.config_version


@dataclass(frozen=True)
class Entry:
    """One line of the audit log."""

    action: str
    author: Author
    order_id: UUID
