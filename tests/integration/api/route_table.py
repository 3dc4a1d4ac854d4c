"""Who may call what: every route by hand, from the specification, and not from the guards that are held against it.

O, A, M and S are the staff's roles OWNER, ADMIN, MANAGER and SUPPORT; C is a customer, T a tenant's key, K an outside
caller's key, Z the cron secret. `everybody` needs nothing. A route that is not here fails the tests.
"""

from __future__ import annotations

EVERYBODY = "everybody"
SIGNED_IN = "OAMSC"
STAFF = "OAMS"

#: The console's files and pages, whose names change with every version.
PAGES = ("/console/", "/customer", "/admin", "/sign-in", "/setup", "/forgot-password", "/reset-password")

ROUTES: dict[str, str] = {
    # 3.1: setup and next-auth
    "POST /api/v1/setup": EVERYBODY,
    "POST /api/auth/callback/{provider}": EVERYBODY,
    "POST /api/auth/signin/{provider}": EVERYBODY,
    "POST /api/auth/signout": EVERYBODY,
    "GET /api/auth/csrf": EVERYBODY,
    "GET /api/auth/providers": EVERYBODY,
    "GET /api/auth/session": EVERYBODY,
    "POST /api/auth/session": EVERYBODY,
    "POST /api/auth/_log": EVERYBODY,
    "GET /api/auth/signin": EVERYBODY,
    "GET /api/auth/signin/{provider}": EVERYBODY,
    "GET /api/auth/signout": EVERYBODY,
    "GET /api/auth/error": EVERYBODY,
    "GET /api/auth/two-factor": EVERYBODY,
    "POST /api/auth/two-factor": EVERYBODY,
    # 3.1: second factor, passwords, sessions, invitations
    "GET /api/v1/auth/2fa/status": SIGNED_IN,
    "POST /api/v1/auth/2fa/setup": SIGNED_IN,
    "POST /api/v1/auth/2fa/verify": EVERYBODY,  # a session, or the pending token in its body
    "POST /api/v1/auth/2fa/disable": SIGNED_IN,
    "GET /api/v1/auth/2fa/backup-codes": SIGNED_IN,
    "POST /api/v1/auth/2fa/backup-codes": SIGNED_IN,
    "POST /api/v1/auth/password": SIGNED_IN,
    "POST /api/v1/auth/password/forgot": EVERYBODY,
    "POST /api/v1/auth/password/reset": EVERYBODY,
    "GET /api/v1/auth/sessions": SIGNED_IN,
    "DELETE /api/v1/auth/sessions": SIGNED_IN,
    "DELETE /api/v1/auth/sessions/{session_id}": SIGNED_IN,
    "GET /api/v1/auth/invite/{token}": EVERYBODY,
    "POST /api/v1/auth/accept-invite": EVERYBODY,
    # 4.1
    "GET /api/v1/profile": STAFF,
    "PATCH /api/v1/profile": STAFF,
    "POST /api/v1/profile/password": STAFF,
    "POST /api/v1/profile/photo": STAFF,
    "DELETE /api/v1/profile/photo": STAFF,
    "GET /api/v1/profile/photos/{name}": STAFF,
    # 4.2: SUPPORT views customers
    "GET /api/v1/admin/customers": STAFF,
    "POST /api/v1/admin/customers": "OAM",
    "GET /api/v1/admin/customers/{customer_id}": STAFF,
    "PATCH /api/v1/admin/customers/{customer_id}": "OAM",
    "DELETE /api/v1/admin/customers/{customer_id}/two-factor": "OA",
    # 4.3: SUPPORT views orders
    "GET /api/v1/admin/orders": STAFF,
    "POST /api/v1/admin/orders": "OAM",
    "GET /api/v1/admin/orders/{order_id}": STAFF,
    "PATCH /api/v1/admin/orders/{order_id}": "OAM",
    "GET /api/v1/admin/events": STAFF,
    "GET /api/v1/admin/orders/{order_id}/events": STAFF,
    "GET /api/v1/admin/orders/{order_id}/automation": STAFF,
    "PATCH /api/v1/admin/orders/{order_id}/automation": "OAM",
    "POST /api/v1/admin/orders/{order_id}/cancel": "OAM",
    "POST /api/v1/admin/orders/{order_id}/registration-token": "OA",
    # 4.5: ADMIN manages servers
    "GET /api/v1/admin/servers": STAFF,
    "GET /api/v1/admin/servers/{server_id}/health": STAFF,
    "GET /api/v1/admin/servers/{server_id}/explain": STAFF,
    "POST /api/v1/admin/servers/{server_id}/command": "OA",
    "GET /api/v1/admin/servers/{server_id}/commands": STAFF,
    "GET /api/v1/admin/servers/{server_id}/commands/{command_id}": STAFF,
    "POST /api/v1/admin/servers/{server_id}/commands/{command_id}/cancel": "OA",
    "DELETE /api/v1/admin/servers/{server_id}/key": "OA",
    "GET /api/v1/admin/servers/{server_id}/webhooks": STAFF,
    "POST /api/v1/admin/servers/{server_id}/webhooks/enable": "OA",
    # 4.7: OWNER manages the staff
    "GET /api/v1/admin/staff": "OA",
    "POST /api/v1/admin/staff/invite": "O",
    "GET /api/v1/admin/staff/invitations": "OA",
    "POST /api/v1/admin/staff/invitations/{invitation_id}/resend": "O",
    "DELETE /api/v1/admin/staff/invitations/{invitation_id}": "O",
    "GET /api/v1/admin/staff/{staff_id}": "OA",
    "PATCH /api/v1/admin/staff/{staff_id}": "O",
    "DELETE /api/v1/admin/staff/{staff_id}": "O",
    "DELETE /api/v1/admin/staff/{staff_id}/two-factor": "OA",
    # 4.12, 4.7: ADMIN has no settings to change; the keys of outside callers are like servers' tokens
    "GET /api/v1/admin/settings": "OA",
    "PATCH /api/v1/admin/settings": "O",
    "POST /api/v1/admin/settings/test-email": "O",
    "GET /api/v1/admin/api-keys": "OA",
    "POST /api/v1/admin/api-keys": "OA",
    "DELETE /api/v1/admin/api-keys/{api_key_id}": "OA",
    # 4.7: who may see what everybody did
    "GET /api/v1/admin/audit": "OA",
    "GET /api/v1/admin/audit/export": "OA",
    "GET /api/v1/admin/founding-members": STAFF,
    "POST /api/v1/admin/customers/{customer_id}/founding-member": "OA",
    # 4.8
    "GET /api/v1/admin/agents/templates": STAFF,
    "GET /api/v1/admin/orders/{order_id}/agents": STAFF,
    "GET /api/v1/admin/orders/{order_id}/configuration": STAFF,
    "POST /api/v1/admin/orders/{order_id}/agents": "OAM",
    "GET /api/v1/admin/orders/{order_id}/agents/{agent_id}": STAFF,
    "GET /api/v1/admin/orders/{order_id}/agents/{agent_id}/tools": STAFF,
    "PATCH /api/v1/admin/orders/{order_id}/agents/{agent_id}": "OAM",
    "DELETE /api/v1/admin/orders/{order_id}/agents/{agent_id}": "OAM",
    # 4.9
    "GET /api/v1/admin/approvals": STAFF,
    "GET /api/v1/admin/approvals/{approval_id}": STAFF,
    "POST /api/v1/admin/approvals/{approval_id}": "OAM",
    # 4.10: ADMIN manages billing; wrappers report usage there too
    "POST /api/v1/admin/billing/usage": "OAT",
    # 5
    "GET /api/v1/customer/dashboard": "C",
    "GET /api/v1/customer/agents": "C",
    "GET /api/v1/customer/agents/{agent_config_id}": "C",
    "GET /api/v1/customer/agents/{agent_config_id}/tools": "C",
    "PATCH /api/v1/customer/agents/{agent_config_id}": "C",
    "PATCH /api/v1/customer/agents/{agent_config_id}/external-comms": "C",
    "GET /api/v1/customer/agents/{agent_config_id}/activity": "C",
    "GET /api/v1/customer/agents/{agent_config_id}/conversations": "C",
    "GET /api/v1/customer/agents/{agent_config_id}/conversations/{conversation_id}": "C",
    "GET /api/v1/customer/tools": "C",
    "GET /api/v1/customer/approvals": "C",
    "GET /api/v1/customer/approvals/{approval_id}": "C",
    "POST /api/v1/customer/approvals/{approval_id}": "C",
    "GET /api/v1/customer/usage": "C",
    "GET /api/v1/customer/usage/breakdown": "C",
    "GET /api/v1/customer/billing": "C",
    "GET /api/v1/customer/billing/history": "C",
    "GET /api/v1/customer/backups": "C",
    "GET /api/v1/customer/settings": "C",
    "PATCH /api/v1/customer/settings": "C",
    # 6
    "POST /api/v1/tenant/register": EVERYBODY,
    "POST /api/v1/tenant/heartbeat": "T",
    "GET /api/v1/tenant/config": "T",
    "POST /api/v1/tenant/approval-request": "T",
    "GET /api/v1/tenant/approval-response/{approval_id}": "T",
    "POST /api/v1/tenant/usage": "T",
    "POST /api/v1/tenant/backup-status": "T",
    "POST /api/v1/tenant/commands/{command_id}/result": "T",
    "POST /api/v1/tenant/approval-outcome": "T",
    "POST /api/v1/tenant/config-applied": "T",
    "POST /api/v1/tenant/activity": "T",
    "POST /api/v1/tenant/image-update": "T",
    # 7: K is an outside caller's API key
    "GET /api/v1/public/founding-members/count": EVERYBODY,
    "POST /api/v1/public/orders": "K",  # a key that may order; another is refused by test_outside_orders.py
    "GET /api/v1/public/orders/{order_id}": "K",
    # 9: Z is whoever holds the cron secret
    "POST /api/v1/cron/approval-expiry": "Z",
    "POST /api/v1/cron/stats-cleanup": "Z",
    # probes and documents
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /": EVERYBODY,
    "GET /set-password": EVERYBODY,
    "GET /accept-invite": EVERYBODY,
    "GET /api/openapi.json": EVERYBODY,
    "GET /api/asyncapi.json": EVERYBODY,
    "GET /api/docs": EVERYBODY,
    "GET /api/docs/docs.mjs": EVERYBODY,
    "GET /api/docs/docs.css": EVERYBODY,
    "GET /api/docs/docs.svg": EVERYBODY,
}


def allowed(method: str, path: str) -> str | None:
    """Who may call a route; None: nobody has said."""
    if method == "GET" and any(path == page or path.startswith(f"{page.rstrip('/')}/") for page in PAGES):
        return EVERYBODY
    return ROUTES.get(f"{method} {path}")
