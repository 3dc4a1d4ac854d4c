"""Roles and permissions, against a table written by hand from specification section 4.7."""

from __future__ import annotations

import pytest

from controlplane.api.permissions import PERMISSIONS, Permission, may
from protocol.words import Role

SUPPORT = {
    "customers.read",
    "orders.read",
    "servers.read",
    "containers.read",
    "containers.manage",
    "agents.read",
    "approvals.read",
    "enterprise.read",
}
MANAGER = (SUPPORT - {"containers.manage"}) | {
    "customers.write",
    "orders.write",
    "agents.write",
    "approvals.decide",
}
ADMIN = MANAGER | {
    "servers.command",
    "tokens.issue",
    "keys.revoke",
    "containers.manage",
    "billing.read",
    "billing.write",
    "analytics.read",
    "settings.read",
    "enterprise.write",
    "audit.read",
    "staff.read",
    "factors.reset",
}
OWNER = ADMIN | {"settings.write", "staff.manage"}


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.OWNER, OWNER), (Role.ADMIN, ADMIN), (Role.MANAGER, MANAGER), (Role.SUPPORT, SUPPORT)],
)
def test_each_role_may_just_this(role, allowed):
    assert PERMISSIONS[role] == allowed
    assert all(may(role, permission) == (permission in allowed) for permission in Permission)


def test_the_owner_may_everything():
    assert PERMISSIONS[Role.OWNER] == set(Permission)
