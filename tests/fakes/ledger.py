"""What the fake tenant's book remembers of one order, as plain objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from actors.people import Author
from actors.ports import Beat, Delivery, Taken
from protocol.canonical import config_hash
from protocol.ids import ServerId
from protocol.objects import AgentConfig, CommandApproval, RemoteCommand, TenantConfig
from protocol.tenant import ConfigOffered, Promise, Void, encode, frame_type
from protocol.words import ApprovalStatus, CommandStatus

#: A command of these can still expire, be withdrawn or be acknowledged.
OPEN: Final = (CommandStatus.QUEUED, CommandStatus.SENT)


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

    @property
    def next_due(self) -> datetime | None:
        due = [one.expires_at for one in self.approvals.values() if one.status is ApprovalStatus.PENDING]
        due += [one.expires_at for one in self.commands.values() if one.status in OPEN]
        return min(due, default=None)

    def promise(self, build: Callable[[int], Promise], reference: UUID | None = None) -> Delivery | None:
        if self.machine is None:
            return None
        self.machine.issued_seq += 1
        frame = build(self.machine.issued_seq)
        delivery = Delivery(self.machine.issued_seq, frame_type(frame), encode(frame), reference)
        self.outbox.append(Promised(delivery))
        return delivery

    def withdraw(self, kind: str, reference: UUID | None = None) -> None:
        assert self.machine is not None
        for promised in self.outbox[self.machine.acked_seq :]:
            same = reference is None or promised.delivery.reference == reference
            if promised.delivery.kind == kind and same:
                promised.void = True

    def offer_current(self, known_version: int, known_hash: str | None) -> None:
        if self.config is None:
            self.write_next()
            return
        config = self.config
        if known_version == config.config_version and known_hash in (None, config.config_hash):
            return
        assert self.machine is not None
        waiting = self.outbox[self.machine.acked_seq :]
        if not any(one.delivery.kind == "configOffered" and not one.void for one in waiting):
            self.promise(lambda seq: ConfigOffered(seq, config.config_version, config.config_hash, config))

    def write_next(self) -> Delivery | None:
        config = TenantConfig(self.config_version + 1, list(self.agents.values()), {}, {}, 30)
        config.config_hash = config_hash(config)
        self.config = config
        if self.machine is not None:
            self.withdraw("configOffered")
        return self.promise(lambda seq: ConfigOffered(seq, config.config_version, config.config_hash, config))

    def advance(self, sent: int, acked: int, at: datetime) -> None:
        machine = self.machine
        assert machine is not None
        machine.acked_seq = max(machine.acked_seq, min(acked, machine.issued_seq))
        for key, command in self.commands.items():
            if command.status in OPEN and command.seq <= acked:
                self.commands[key] = msgspec.structs.replace(
                    command,
                    status=CommandStatus.ACKNOWLEDGED,
                    sent_at=command.sent_at or at,
                    acknowledged_at=at,
                )
            elif command.status is CommandStatus.QUEUED and command.seq <= sent:
                self.commands[key] = msgspec.structs.replace(command, status=CommandStatus.SENT, sent_at=at)


@dataclass(frozen=True)
class Entry:
    """One line of the audit log."""

    action: str
    author: Author
    order_id: UUID
