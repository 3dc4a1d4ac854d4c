"""Objects spoken of in several rooms, in the specification's shapes: camelCase outside, snake_case inside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.ids import AgentConfigId, ApprovalId, CommandId, CustomerId, OrderId, ServerId
from protocol.words import (
    AccountStatus,
    ApprovalStatus,
    AutomationMode,
    CommandClass,
    CommandStatus,
    OrderStatus,
    Plan,
    Presence,
    SubscriptionStatus,
    Tier,
    ToolOverride,
)


class Spoken(msgspec.Struct, rename="camel"):
    """Base of what is spoken: camelCase names outside."""


class Subscription(Spoken):
    """A customer's plan and what of its tokens is used."""

    plan: Plan
    tier: Tier
    token_limit: int
    tokens_used: int
    stripe_customer_id: str | None
    status: SubscriptionStatus


class FoundingMember(Spoken):
    """An early customer's number and token multiplier."""

    number: int
    token_multiplier: int
    expires_at: datetime


class Order(Spoken):
    """One rented server and its way from payment to fulfilment (specification section 4.3).

    Args:
        failed_step: where a FAILED one goes on; None for all others.
    """

    id: OrderId
    user_id: CustomerId
    status: OrderStatus
    tier: Tier
    domain: str
    tools: list[str]
    server_ip: str | None
    ssh_port: int
    automation_mode: AutomationMode
    dashboard_url: str
    portainer_url: str
    created_at: datetime
    fulfilled_at: datetime | None
    failed_step: OrderStatus | None = None


class Customer(Spoken):
    """A customer with subscription and orders (specification section 4.2)."""

    id: CustomerId
    email: str
    name: str
    company: str | None
    status: AccountStatus
    subscription: Subscription | None
    orders: list[Order]
    founding_member: FoundingMember | None
    created_at: datetime


class AgentConfig(Spoken):
    """How one agent on a tenant behaves (specification section 4.8)."""

    id: AgentConfigId
    order_id: OrderId
    agent_id: str
    name: str
    role: str
    soul_md: str
    tools_allowed: list[str]
    tools_denied: list[str]
    tool_profile: str
    autonomy_level: Annotated[int, Meta(ge=1, le=3)]
    external_comms_unlocks: dict[str, bool] | None
    is_active: bool
    tool_overrides: dict[str, ToolOverride] = {}


class DecidedBy(Spoken):
    """Who settled an approval."""

    type: str
    id: str | None
    name: str


class CommandApproval(Spoken):
    """An agent's command that waits for, or has had, a person's decision (specification section 4.9).

    `sentAt` and `acknowledgedAt` tell how far the decision has come on its way to the tenant's wrapper.
    """

    id: ApprovalId
    order_id: OrderId
    agent_id: str
    command_class: CommandClass
    tool_name: str
    tool_args: msgspec.Raw
    human_readable: str
    status: ApprovalStatus
    requested_at: datetime
    expires_at: datetime
    request_id: str
    args_hash: str
    impact: str | None
    settled_at: datetime | None
    decided_by: DecidedBy | None
    reason: str | None
    outcome: str | None
    outcome_detail: str | None
    outcome_at: datetime | None
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None


class RemoteCommand(Spoken):
    """A command to a tenant's wrapper and what became of it."""

    id: CommandId
    server_id: ServerId
    order_id: OrderId
    type: str
    payload: msgspec.Raw
    status: CommandStatus
    seq: int
    issued_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    output: str | None
    issued_by: DecidedBy


class ModelRoute(Spoken):
    """Which model an agent's request goes to, and which when that fails."""

    primary: str
    fallback: list[str] = []


class TenantConfig(Spoken):
    """The whole configuration of a tenant; `config_hash` is over the canonical form of the rest."""

    config_version: int
    agents: list[AgentConfig]
    tool_table: dict[str, CommandClass]
    model_routing: dict[str, ModelRoute]
    heartbeat_seconds: int
    config_hash: str = ""


class AgentHealth(Spoken):
    status: str
    last_active_at: datetime | None = None


class Resources(Spoken):
    cpu_percent: float | None = None
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    disk_used_gb: float | None = None
    disk_total_gb: float | None = None
    containers_running: int | None = None
    containers_stopped: int | None = None


class TokenPool(Spoken):
    period_start: datetime | None = None
    tokens_used: int = 0
    token_allotment: int = 0
    premium_tokens_used: int = 0
    premium_cost_cents: int = 0


class BackupSummary(Spoken):
    last_backup: datetime | None = None
    status: str | None = None
    size_gb: float | None = None


class HeartbeatBody(Spoken):
    """The specification's heartbeat (section 6); `ackSeq` besides, for wrappers that know the sequence."""

    status: str
    openclaw_version: str | None = None
    safety_wrapper_version: str | None = None
    config_version: int = 0
    config_hash: str | None = None
    agents: dict[str, AgentHealth] = {}
    resources: Resources | None = None
    token_usage: TokenPool | None = None
    backup_status: BackupSummary | None = None
    ack_seq: int | UnsetType = UNSET


class Server(Spoken):
    """A registered tenant server and how it is now."""

    id: ServerId
    order_id: OrderId
    customer_id: CustomerId
    company: str | None
    domain: str
    server_ip: str | None
    presence: Presence
    last_seen_at: datetime | None
    connected_at: datetime | None
    safety_wrapper_version: str | None
    openclaw_version: str | None
    config_version: int
    config_applied_version: int
    config_error: str | None
    resources: Resources | None
    pending_approvals: int
    unacknowledged: int
    key_revoked_at: datetime | None
    registered_at: datetime


class UsageBucket(Spoken):
    """Tokens used by one agent with one model in one hour (specification section 4.10)."""

    agent_id: str
    model: str
    bucket_hour: Annotated[datetime, Meta(tz=True)]
    tokens_input: Annotated[int, Meta(ge=0)] = 0
    tokens_output: Annotated[int, Meta(ge=0)] = 0
    tokens_cache_read: Annotated[int, Meta(ge=0)] = 0
    tokens_cache_write: Annotated[int, Meta(ge=0)] = 0
    web_search_count: Annotated[int, Meta(ge=0)] = 0
    web_fetch_count: Annotated[int, Meta(ge=0)] = 0
    cost_cents: Annotated[int, Meta(ge=0)] = 0
    revision: Annotated[int, Meta(ge=0)] = 0


Json = dict[str, Any]
