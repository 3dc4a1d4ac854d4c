"""What each role of staff may do: one table (specification section 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from protocol.words import Role


class Permission(StrEnum):
    """One thing a member of staff may be allowed to do."""

    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_WRITE = "customers.write"
    ORDERS_READ = "orders.read"
    ORDERS_WRITE = "orders.write"
    SERVERS_READ = "servers.read"
    SERVERS_COMMAND = "servers.command"
    TOKENS_ISSUE = "tokens.issue"
    KEYS_REVOKE = "keys.revoke"
    CONTAINERS_READ = "containers.read"
    CONTAINERS_MANAGE = "containers.manage"
    AGENTS_READ = "agents.read"
    AGENTS_WRITE = "agents.write"
    APPROVALS_READ = "approvals.read"
    APPROVALS_DECIDE = "approvals.decide"
    BILLING_READ = "billing.read"
    BILLING_WRITE = "billing.write"
    ANALYTICS_READ = "analytics.read"
    SETTINGS_READ = "settings.read"
    SETTINGS_WRITE = "settings.write"
    ENTERPRISE_READ = "enterprise.read"
    ENTERPRISE_WRITE = "enterprise.write"
    AUDIT_READ = "audit.read"
    STAFF_READ = "staff.read"
    STAFF_MANAGE = "staff.manage"
    FACTORS_RESET = "factors.reset"


_P = Permission
_OWNER, _ADMIN, _MANAGER, _SUPPORT = Role.OWNER, Role.ADMIN, Role.MANAGER, Role.SUPPORT

# fmt: off
_TABLE: Final[Mapping[Permission, tuple[Role, ...]]] = {
    _P.CUSTOMERS_READ:    (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.CUSTOMERS_WRITE:   (_OWNER, _ADMIN, _MANAGER),
    _P.ORDERS_READ:       (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.ORDERS_WRITE:      (_OWNER, _ADMIN, _MANAGER),
    _P.SERVERS_READ:      (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.SERVERS_COMMAND:   (_OWNER, _ADMIN),
    _P.TOKENS_ISSUE:      (_OWNER, _ADMIN),
    _P.KEYS_REVOKE:       (_OWNER, _ADMIN),
    _P.CONTAINERS_READ:   (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.CONTAINERS_MANAGE: (_OWNER, _ADMIN, _SUPPORT),
    _P.AGENTS_READ:       (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.AGENTS_WRITE:      (_OWNER, _ADMIN, _MANAGER),
    _P.APPROVALS_READ:    (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.APPROVALS_DECIDE:  (_OWNER, _ADMIN, _MANAGER),
    _P.BILLING_READ:      (_OWNER, _ADMIN),
    _P.BILLING_WRITE:     (_OWNER, _ADMIN),
    _P.ANALYTICS_READ:    (_OWNER, _ADMIN),
    _P.SETTINGS_READ:     (_OWNER, _ADMIN),
    _P.SETTINGS_WRITE:    (_OWNER,),
    _P.ENTERPRISE_READ:   (_OWNER, _ADMIN, _MANAGER, _SUPPORT),
    _P.ENTERPRISE_WRITE:  (_OWNER, _ADMIN),
    _P.AUDIT_READ:        (_OWNER, _ADMIN),
    _P.STAFF_READ:        (_OWNER, _ADMIN),
    _P.STAFF_MANAGE:      (_OWNER,),
    _P.FACTORS_RESET:     (_OWNER, _ADMIN),
}
# fmt: on

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    role: frozenset(permission for permission, roles in _TABLE.items() if role in roles) for role in Role
}


def may(role: Role, permission: Permission) -> bool:
    """Whether a role has a permission."""
    return permission in PERMISSIONS[role]
