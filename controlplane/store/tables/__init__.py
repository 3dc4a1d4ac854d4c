"""All tables. Importing this package fills `base.metadata`, which migrations are compared with."""

from controlplane.store.tables import accounts, agents, credentials, events, mail, orders, tenants, webhooks
from controlplane.store.tables.base import metadata

__all__ = ["accounts", "agents", "credentials", "events", "mail", "metadata", "orders", "tenants", "webhooks"]
