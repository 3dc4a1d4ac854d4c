"""Every router of the Hub, in the order in which the documentation shows them."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.api.account import (
    invitations,
    pages,
    passwords,
    profile,
    session,
    sessions,
    setup,
    sign_in,
    two_factor,
    two_factor_page,
)
from controlplane.api.admin import agents as admin_agents
from controlplane.api.admin import (
    api_keys,
    audit,
    automation,
    billing,
    customers,
    events,
    founding_members,
    orders,
    registration_tokens,
    servers,
    settings,
    staff,
    webhooks,
)
from controlplane.api.admin import approvals as admin_approvals
from controlplane.api.console_pages import console_router
from controlplane.api.cron import jobs
from controlplane.api.customer import activity, backups, dashboard, usage
from controlplane.api.customer import agents as customer_agents
from controlplane.api.customer import approvals as customer_approvals
from controlplane.api.customer import billing as customer_billing
from controlplane.api.customer import conversations as customer_conversations
from controlplane.api.customer import settings as customer_settings
from controlplane.api.customer import tools as customer_tools
from controlplane.api.probes import probe_router
from controlplane.api.public import founding_members as public_founding_members
from controlplane.api.public import orders as public_orders
from controlplane.api.router import Router
from controlplane.api.tenant import approvals as tenant_approvals
from controlplane.api.tenant import config, heartbeat, registration, reports

_MODULES = (
    setup,
    sign_in,
    session,
    pages,
    two_factor_page,
    two_factor,
    passwords,
    sessions,
    invitations,
    profile,
    staff,
    settings,
    api_keys,
    audit,
    customers,
    founding_members,
    orders,
    events,
    automation,
    registration_tokens,
    servers,
    webhooks,
    admin_agents,
    admin_approvals,
    billing,
    dashboard,
    customer_agents,
    activity,
    customer_conversations,
    customer_tools,
    usage,
    customer_approvals,
    customer_billing,
    backups,
    customer_settings,
    registration,
    heartbeat,
    config,
    tenant_approvals,
    reports,
    public_founding_members,
    public_orders,
    jobs,
)


def routers() -> Sequence[Router]:
    """The routers to mount."""
    return [*(module.routes for module in _MODULES), probe_router(), console_router()]
