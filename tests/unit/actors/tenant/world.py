"""A tenant's actor on a virtual clock: its book in memory, a link that writes down what is said on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import msgspec
import trio

from actors.people import Author, Scope
from actors.ports import Registered
from actors.runtime import ActorSystem, Message
from actors.runtime.ref import Ref
from actors.tenant.messages import (
    Attach,
    CancelCommand,
    Detached,
    FrameArrived,
    IssueCommand,
    Register,
    RevokeKey,
    SettleApproval,
)
from protocol.canonical import args_hash
from protocol.ids import format_id, parse_id
from protocol.objects import CommandApproval, RemoteCommand
from protocol.tenant import (
    Accepted,
    Ack,
    ApprovalRequest,
    FromTenant,
    Hello,
    Refused,
    Void,
    Welcome,
    to_tenant,
)
from protocol.words import ApprovalAction, CommandClass
from tests.fakes.ledger import Ledger, Machine
from tests.fakes.tenant_book import FakeTenantBook

T = TypeVar("T")
R = TypeVar("R")

HEARTBEAT_SECONDS = 30
KEY = "abcdef012345"
CAPABILITIES = ["command", "approvalSettled", "configOffered"]
MARIA = Author("customer", "cust_maria", "Maria Weber")
ADA = Author("staff", "stf_ada", "Ada")


@dataclass(eq=False)
class RecordingLink:
    """The Hub's end of a socket."""

    ref: Ref
    frames: list[Any] = field(default_factory=list)
    bytes_sent: list[bytes] = field(default_factory=list)
    frame_limit: int = 64 * 1024
    open: bool = True
    closed_with: int | None = None
    reason: str = ""
    last_received_at: float = field(default_factory=trio.current_time)

    def send_text(self, data: bytes) -> bool:
        if self.open:
            self.frames.append(to_tenant.decode(data))
            self.bytes_sent.append(data)
        return self.open

    def close(self, code: int, reason: str = "") -> None:
        if not self.open:
            return
        self.open, self.closed_with, self.reason = False, code, reason
        # As the real one: whoever handles the socket is told at once.
        self.ref.tell(Detached(self, code), control=True)

    def said(self, kind: type[T]) -> list[T]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    @property
    def seqs(self) -> list[int]:
        """The numbers of the promises, in the order they came."""
        return [frame.seq for frame in self.frames if hasattr(frame, "seq")]

    @property
    def voids(self) -> list[int]:
        return [frame.seq for frame in self.said(Void)]

    @property
    def accepted(self) -> list[str]:
        return [message_id for frame in self.said(Accepted) for message_id in frame.ids]

    @property
    def refused(self) -> list[Refused]:
        return self.said(Refused)

    @property
    def welcome(self) -> Welcome:
        [welcome] = self.said(Welcome)
        return welcome


class World:
    """One tenant."""

    def __init__(self, system: ActorSystem, book: FakeTenantBook) -> None:
        self.system = system
        self.book = book
        self._numbers = count(1)
        self.ledger = self.registered()
        self.name = format_id("ord", self.ledger.id)
        self.ref = system.ref("tenant", self.name)

    def registered(self) -> Ledger:
        """Another order with a registered server."""
        ledger = self.book.open_order()
        ledger.machine = Machine(id="srv_1", key_prefix=KEY)  # type: ignore[arg-type]
        return ledger

    @property
    def machine(self) -> Machine:
        assert self.ledger.machine is not None
        return self.ledger.machine

    async def settle_down(self) -> None:
        """Until everybody waits for a clock or for nothing."""
        await trio.testing.wait_all_tasks_blocked()

    async def connect(
        self, *, boot_id: str = "boot", key: str = KEY, capabilities: list[str] | None = None, **said: Any
    ) -> RecordingLink:
        """A wrapper says hello."""
        link = RecordingLink(self.ref)
        hello = Hello(
            protocol_min=said.pop("protocol_min", 1),
            protocol_max=said.pop("protocol_max", 1),
            wrapper_version=said.pop("wrapper_version", "1.0"),
            boot_id=boot_id,
            capabilities=CAPABILITIES if capabilities is None else capabilities,
            config_version=said.pop("config_version", self.ledger.config_version),
            **said,
        )
        self.ref.tell(Attach(link, hello, key), control=True)
        await self.settle_down()
        return link

    async def configured(self) -> RecordingLink:
        """A wrapper that has its configuration: promise 1 is acknowledged."""
        link = await self.connect()
        if self.machine.acked_seq < self.machine.issued_seq:
            await self.say(link, Ack(self.machine.issued_seq))
        return link

    async def say(self, link: RecordingLink, *frames: FromTenant) -> None:
        """The wrapper sends frames."""
        for frame in frames:
            link.last_received_at = trio.current_time()
            self.ref.tell(FrameArrived(link, frame))
        await self.settle_down()

    def wish(self, message_id: str | None = None, **values: Any) -> ApprovalRequest:
        given: dict[str, Any] = {
            "id": message_id or f"m-{next(self._numbers)}",
            "agent_id": "it-admin",
            "command_class": CommandClass.RED,
            "tool_name": "file_delete",
            "tool_args": msgspec.Raw(b'{"path":"/srv"}'),
            "args_hash": args_hash("file_delete", {"path": "/srv"}),
            "human_readable": "Delete /srv",
            **values,
        }
        return ApprovalRequest(**given)

    async def asked(self, link: RecordingLink, **values: Any) -> CommandApproval:
        """An approval the wrapper asked for."""
        known = set(self.ledger.approvals)
        await self.say(link, self.wish(**values))
        [key] = set(self.ledger.approvals) - known
        return self.ledger.approvals[key]

    async def decide(
        self, approval: CommandApproval, action: ApprovalAction = ApprovalAction.APPROVE
    ) -> CommandApproval:
        message = SettleApproval(parse_id("appr", approval.id), action, None, MARIA, Scope.everything())
        return await self.ref.ask(message)

    async def command(self, *, expires_in_seconds: int = 3600, payload: Any = None) -> RemoteCommand:
        return await self.ref.ask(IssueCommand("RESTART", payload or {}, expires_in_seconds, ADA))

    async def cancel(self, command: RemoteCommand) -> RemoteCommand:
        return await self.ref.ask(CancelCommand(parse_id("cmd", command.id), ADA))

    async def revoke(self) -> None:
        await self.ref.ask(RevokeKey(ADA))

    async def register(self, token: str, key: str) -> None:
        await self.ref.ask(Register(Registered(token, "one", None, key, b"h", b"s"), ADA))

    def status(self, command: RemoteCommand) -> str:
        return self.ledger.commands[parse_id("cmd", command.id)].status

    def approval(self, approval: CommandApproval) -> CommandApproval:
        return self.ledger.approvals[parse_id("appr", approval.id)]

    @property
    def shown(self) -> dict[str, Any]:
        """What `explain` tells of the actor besides the runtime's part."""
        seen = self.system.explain(self.ref.path)
        assert seen is not None
        return seen.extra or {"state": seen.state}  # type: ignore[return-value]

    @property
    def state(self) -> str:
        seen = self.system.explain(self.ref.path)
        assert seen is not None
        return seen.state

    @property
    def actions(self) -> list[str]:
        return [entry.action for entry in self.book.audit]

    def later(self, **duration: float) -> Any:
        """A moment from now on the virtual wall clock."""
        return self.system.clock.now() + timedelta(**duration)


@dataclass(frozen=True, slots=True)
class Nonsense(Message[None]):
    """What no tenant understands."""
