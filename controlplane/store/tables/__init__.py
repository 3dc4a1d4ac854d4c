"""All tables. Importing this package fills `base.metadata`, which migrations are compared with."""

from controlplane.store.tables import accounts, agents, events, mail, orders, tenants
from controlplane.store.tables.base import metadata

__all__ = ["accounts", "agents", "events", "mail", "metadata", "orders", "tenants"]
