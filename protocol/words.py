"""The words with a fixed meaning: every enumeration that is spoken or stored."""

from __future__ import annotations

from enum import StrEnum


class UserType(StrEnum):
    STAFF = "staff"
    CUSTOMER = "customer"


class Role(StrEnum):
    """Staff roles (specification section 4.7)."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    SUPPORT = "SUPPORT"


class AccountStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    DEACTIVATED = "DEACTIVATED"


class ApprovalMail(StrEnum):
    """When a mail tells a customer of approvals that wait."""

    AT_ONCE = "atOnce"
    DIGEST = "digest"
    NEVER = "never"


class Plan(StrEnum):
    STARTER = "STARTER"
    PRO = "PRO"
    ENTERPRISE = "ENTERPRISE"


class Tier(StrEnum):
    LITE = "Lite"
    BUILD = "Build"
    SCALE = "Scale"


class SubscriptionStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAST_DUE = "PAST_DUE"
    CANCELLED = "CANCELLED"


class OrderStatus(StrEnum):
    PAYMENT_CONFIRMED = "PAYMENT_CONFIRMED"
    AWAITING_SERVER = "AWAITING_SERVER"
    SERVER_READY = "SERVER_READY"
    DNS_PENDING = "DNS_PENDING"
    DNS_READY = "DNS_READY"
    PROVISIONING = "PROVISIONING"
    FULFILLED = "FULFILLED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class AutomationMode(StrEnum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"
    PAUSED = "PAUSED"


class CommandClass(StrEnum):
    """How much harm a command can do: from the configuration's tool table, never from the caller."""

    GREEN = "green"
    YELLOW = "yellow"
    YELLOW_EXTERNAL = "yellow_external"
    RED = "red"
    CRITICAL_RED = "critical_red"


class ApprovalStatus(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"


class ApprovalAction(StrEnum):
    """What a person may decide."""

    APPROVE = "approve"
    DENY = "deny"


class SettledAction(StrEnum):
    """How an approval ended: a person's decision, or time."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"


class ApprovalOutcome(StrEnum):
    EXECUTED = "executed"
    FAILED = "failed"
    ABANDONED = "abandoned"


class CommandStatus(StrEnum):
    QUEUED = "QUEUED"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    TIMED_OUT = "TIMED_OUT"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class CommandResultStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timedOut"


class Presence(StrEnum):
    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"


class BackupOutcome(StrEnum):
    SUCCESS = "success"
    FAILED = "failed"
    RUNNING = "running"


class ToolOverride(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


#: Which tier a plan buys.
TIER_OF_PLAN = {Plan.STARTER: Tier.LITE, Plan.PRO: Tier.BUILD, Plan.ENTERPRISE: Tier.SCALE}
PLAN_OF_TIER = {tier: plan for plan, tier in TIER_OF_PLAN.items()}
