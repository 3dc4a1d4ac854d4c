"""Every list and hot look goes by an index once there are thousands of rows."""

from __future__ import annotations

import re
from typing import Any

import pytest

from controlplane.store import approvals, commands, forgetting, outbox, servers, tenant_book
from controlplane.store.database import Database
from tests.contract.shelves import NOW, PostgresShelf, Tenant, after, registered

_FILL = (
    """INSERT INTO users (id, email, name, created_at, updated_at)
       SELECT gen_random_uuid(), n || '@fill.test', 'F', :at, :at FROM generate_series(1, 3000) n""",
    """INSERT INTO orders (id, user_id, status, tier, domain, tools, ssh_port, automation_mode, created_at, updated_at)
       SELECT gen_random_uuid(), id, 'FULFILLED', 'Build', email, '{}', 22, 'AUTO', :at, :at
       FROM users WHERE email LIKE '%@fill.test'""",
    """INSERT INTO server_connections (id, order_id, registered_at, key_prefix, key_hash, key_sealed, key_issued_at)
       SELECT gen_random_uuid(), id, :at, id::text, '', '', :at FROM orders WHERE domain LIKE '%@fill.test'""",
    """INSERT INTO command_approvals (id, order_id, customer_id, request_id, agent_id, command_class, tool_name,
           tool_args, args_hash, human_readable, status, requested_at, expires_at, settled_at)
       SELECT gen_random_uuid(), o.id, o.user_id, n::text, 'a', 'red', 't', '{}', 'h', 'x',
           CASE WHEN n = 1 THEN 'PENDING' ELSE 'APPROVED' END, :at, :later, CASE WHEN n > 1 THEN :at END
       FROM orders o, generate_series(1, 4) n""",
    """INSERT INTO remote_commands (id, order_id, server_id, seq, type, payload, status, issued_at, expires_at,
           issued_by_type, issued_by_name)
       SELECT gen_random_uuid(), s.order_id, s.id, n, 'T', '{}', CASE WHEN n = 1 THEN 'QUEUED' ELSE 'SUCCEEDED' END,
           :at, :later, 'staff', 'A'
       FROM server_connections s, generate_series(1, 4) n""",
    """INSERT INTO deliveries (order_id, seq, kind, frame, created_at)
       SELECT order_id, n, 'command', '{}', :at FROM server_connections, generate_series(1, 4) n""",
    """INSERT INTO tenant_inbox (order_id, message_id, kind, received_at)
       SELECT order_id, n::text, 'usage', :at FROM server_connections, generate_series(1, 4) n""",
)


def _looks(tenant: Tenant, server_id: object) -> dict[str, tuple[Any, dict[str, Any]]]:
    page = {"limit": 25, "offset": 0}
    order, customer = tenant.order_id, tenant.customer_id
    looks = {
        f"approvals {status} {owned}": (
            approvals._LIST[owned][0].statement,
            {"status": status, "customer_id": customer, "order_id": order, **page},
        )
        for owned in approvals._LIST
        for status in ("PENDING", "APPROVED")
    }
    looks["one approval"] = (approvals._GET, {"id": order, "customer_id": None})
    looks["commands"] = (commands._LIST, {"server_id": server_id, **page})
    looks["count of commands"] = (commands._COUNT, {"server_id": server_id})
    looks["servers"] = (servers._LIST, page)
    looks["one server"] = (servers._GET, {"id": server_id})
    looks["holder of a key"] = (servers._HOLDER.statement, {"prefix": "x"})
    looks["promises"] = (outbox._PAGE, {"o": order, "after": 0, "limit": 64})
    looks["next due"] = (tenant_book._NEXT_DUE, {"order_id": order})
    looks["old promises"] = (forgetting._PROMISES, {"before": NOW, "most": 10})
    looks["old messages"] = (forgetting._MESSAGES, {"before": NOW, "most": 10})
    looks["overdue"] = (tenant_book._OVERDUE, {"at": NOW})
    return looks


def _but_counts(plan: list[str]) -> list[str]:
    """A plan without its counts of all there is, which may read a whole index, or a small table."""
    kept: list[str] = []
    depth: int | None = None
    for line in plan:
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent > depth:
            continue
        depth = indent if "InitPlan" in line else None
        kept += [] if depth is not None else [line]
    return kept


@pytest.mark.slow
async def test_no_list_reads_a_whole_table(database: Database) -> None:
    shelf = PostgresShelf(database)
    tenant = await registered(shelf)
    for statement in _FILL:
        needed = {"at": NOW} | ({"later": after(days=1)} if ":later" in statement else {})
        typed = re.sub(r":(at|later)\b", r"CAST(:\1 AS timestamptz)", statement)
        await shelf.run(typed, **needed)
    for table in (
        "users",
        "orders",
        "server_connections",
        "command_approvals",
        "remote_commands",
        "deliveries",
        "tenant_inbox",
    ):
        await shelf.run(f"ANALYZE {table}")
    [server] = await shelf.run("SELECT id FROM server_connections WHERE order_id = :o", o=tenant.order_id)
    bad = {}
    for name, (statement, values) in _looks(tenant, server.id).items():
        named = {key: value for key, value in values.items() if f":{key}" in statement.text}
        plan = "\n".join(_but_counts([row[0] for row in await shelf.run(f"EXPLAIN {statement.text}", **named)]))
        if "Seq Scan" in plan:
            bad[name] = plan
    assert not bad, "\n\n".join(f"{name}\n{plan}" for name, plan in bad.items())
