"""All tables. Importing this package fills `base.metadata`, which migrations are compared with."""

from controlplane.store.tables import (
    accounts,
    agents,
    audit,
    billing,
    credentials,
    enterprise,
    events,
    mail,
    orders,
    provisioning,
    settings,
    tenants,
    usage,
    webhooks,
)
from controlplane.store.tables.base import metadata

__all__ = [
    "accounts",
    "agents",
    "audit",
    "billing",
    "credentials",
    "enterprise",
    "events",
    "mail",
    "metadata",
    "orders",
    "provisioning",
    "settings",
    "tenants",
    "usage",
    "webhooks",
]
