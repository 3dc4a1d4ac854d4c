"""A hundred thousand customers with an order, a server and a history each, made by the database itself."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

MANY: Final = 100_000
#: Of what people make by hand there is less.
SOME: Final = 5_000

_AT = "now() - n * interval '1 second'"
_WORDS = "(ARRAY['acme','bolt','cedar','delta','ember','fjord','grove','harbor'])[1 + n % 8]"

_STATEMENTS = (
    f"""INSERT INTO users (id, email, name, company, status, created_at, updated_at)
        SELECT gen_random_uuid(), 'c' || n || '@fill.test', 'Fill ' || n, {_WORDS} || ' ' || n,
            CASE WHEN n % 50 = 0 THEN 'SUSPENDED' ELSE 'ACTIVE' END, {_AT}, now()
        FROM generate_series(1, :many) n""",
    f"""INSERT INTO orders (id, user_id, status, tier, domain, tools, ssh_port, automation_mode, created_at, updated_at,
            fulfilled_at)
        SELECT gen_random_uuid(), u.id, CASE WHEN n % 20 = 0 THEN 'PROVISIONING' ELSE 'FULFILLED' END,
            (ARRAY['Lite','Build','Scale'])[1 + n % 3], {_WORDS} || n || '.fill.test', '{{ghost}}', 22, 'AUTO', {_AT},
            now(), CASE WHEN n % 20 = 0 THEN NULL ELSE now() END
        FROM (SELECT id, CAST(substr(split_part(email, '@', 1), 2) AS integer) AS n FROM users
              WHERE email LIKE '%@fill.test') u""",
    """INSERT INTO server_connections (id, order_id, registered_at, key_prefix, key_hash, key_sealed, key_issued_at)
        SELECT gen_random_uuid(), id, created_at, CAST(id AS text), '', '', created_at FROM orders
        WHERE domain LIKE '%.fill.test'""",
    """INSERT INTO command_approvals (id, order_id, customer_id, request_id, agent_id, command_class, tool_name,
            tool_args, args_hash, human_readable, status, requested_at, expires_at, settled_at)
        SELECT gen_random_uuid(), id, user_id, 'fill', 'it-admin', 'red', 'file_delete', '{}', 'h', 'x',
            CASE WHEN status = 'PROVISIONING' THEN 'PENDING' ELSE 'APPROVED' END, created_at,
            now() + interval '1 day', CASE WHEN status = 'PROVISIONING' THEN NULL ELSE now() END
        FROM orders WHERE domain LIKE '%.fill.test'""",
    """INSERT INTO command_approvals (id, order_id, customer_id, request_id, agent_id, command_class, tool_name,
            tool_args, args_hash, human_readable, status, requested_at, expires_at, settled_at)
        SELECT gen_random_uuid(), :order_id, :customer_id, 'own' || n, 'it-admin', 'red', 'file_delete', '{}', 'h', 'x',
            'DENIED', now() - n * interval '1 second', now() + interval '1 day', now()
        FROM generate_series(1, :some) n""",
    """INSERT INTO remote_commands (id, order_id, server_id, seq, type, payload, status, issued_at, expires_at,
            issued_by_type, issued_by_name)
        SELECT gen_random_uuid(), :order_id, :server_id, 1000000 + n, 'PING', '{}', 'SUCCEEDED',
            now() - n * interval '1 second', now() + interval '1 day', 'staff', 'A' FROM generate_series(1, :some) n""",
    """INSERT INTO remote_commands (id, order_id, server_id, seq, type, payload, status, issued_at, expires_at,
            issued_by_type, issued_by_name)
        SELECT gen_random_uuid(), order_id, id, 1, 'PING', '{}', 'SUCCEEDED', registered_at,
            now() + interval '1 day', 'staff', 'A' FROM server_connections
        WHERE key_prefix = CAST(order_id AS text) LIMIT 20000""",
    """INSERT INTO agent_configs (id, order_id, agent_id, name, role, soul_md, tools_allowed, tools_denied,
            tool_profile, autonomy_level, is_active, created_at, updated_at)
        SELECT gen_random_uuid(), id, 'it-admin', 'IT', 'it-admin', '', '{}', '{}', 'coding', 2, true, created_at,
            created_at FROM orders WHERE domain LIKE '%.fill.test'""",
    """INSERT INTO activities (id, order_id, agent_id, kind, summary, at)
        SELECT gen_random_uuid(), id, 'it-admin', 'mail', 'x', created_at FROM orders
        WHERE domain LIKE '%.fill.test' LIMIT 20000""",
    """INSERT INTO activities (id, order_id, agent_id, kind, summary, at)
        SELECT gen_random_uuid(), :order_id, 'it-admin', 'mail', 'x', now() - n * interval '1 second'
        FROM generate_series(1, :some) n""",
    """INSERT INTO backup_reports (id, order_id, status, finished_at, reported_at)
        SELECT gen_random_uuid(), id, 'success', created_at, created_at FROM orders LIMIT 20000""",
    """INSERT INTO backup_reports (id, order_id, status, finished_at, reported_at)
        SELECT gen_random_uuid(), :order_id, 'success', now() - n * interval '1 hour', now() - n * interval '1 hour'
        FROM generate_series(1, :some) n""",
    f"""INSERT INTO events (at, kind, order_id, customer_id, data)
        SELECT {_AT}, 'order.changed', CASE WHEN n % 10 = 0 THEN :order_id END, NULL, '{{}}'
        FROM generate_series(1, :many) n""",
    f"""INSERT INTO audit_entries (id, at, author_type, author_id, author_name, action, target, request_id, order_id,
            customer_id)
        SELECT gen_random_uuid(), {_AT}, 'staff', 'stf_' || n % 100, 'Fill', (ARRAY['order.created','order.changed',
            'customer.created','staff.changed','approval.settled'])[1 + n % 5], 'ord_' || n, 'req_' || n / 2,
            CASE WHEN n % 10 = 0 THEN :order_id END, CASE WHEN n % 5 = 0 THEN :customer_id END
        FROM generate_series(1, :many) n""",
    f"""INSERT INTO staff (id, email, name, role, status, created_at, updated_at)
        SELECT gen_random_uuid(), 's' || n || '@fill.test', 'Fill', 'SUPPORT',
            CASE WHEN n % 10 = 0 THEN 'DEACTIVATED' ELSE 'ACTIVE' END, {_AT}, now() FROM generate_series(1, :some) n""",
    f"""INSERT INTO staff_invitations (id, email, role, token_hash, invited_by, created_at, sent_at, expires_at)
        SELECT gen_random_uuid(), 'i' || n || '@fill.test', 'SUPPORT', decode(md5(CAST(n AS text)), 'hex'),
            (SELECT id FROM staff ORDER BY created_at LIMIT 1), {_AT}, now(), now() + interval '1 day'
        FROM generate_series(1, :some) n""",
    f"""INSERT INTO api_keys (id, name, prefix, key_hash, created_by, created_at)
        SELECT gen_random_uuid(), 'Fill', 'p' || n, '', 'Fill', {_AT} FROM generate_series(1, :some) n""",
    """INSERT INTO founding_members (id, user_id, number, token_multiplier, expires_at, created_at)
        SELECT gen_random_uuid(), id, row_number() OVER (), 2, now() + interval '1 year', now()
        FROM (SELECT id FROM users WHERE email LIKE '%@fill.test' LIMIT :some) u""",
    """INSERT INTO subscriptions (id, user_id, plan, tier, token_base, created_at, updated_at)
        SELECT gen_random_uuid(), id, 'PRO', 'Build', 7500000, now(), now() FROM users
        WHERE email LIKE '%@fill.test' LIMIT 20000""",
    """INSERT INTO token_usage_buckets (id, order_id, agent_id, model, bucket_hour, revision, tokens_input,
            tokens_output, tokens_cache_read, tokens_cache_write, web_search_count, web_fetch_count, cost_cents,
            reported_at)
        SELECT gen_random_uuid(), id, 'it-admin', 'm', date_trunc('hour', now(), 'UTC'), 1, 1, 1, 0, 0, 0, 0, 1, now()
        FROM orders WHERE domain LIKE '%.fill.test'""",
    """INSERT INTO token_usage_buckets (id, order_id, agent_id, model, bucket_hour, revision, tokens_input,
            tokens_output, tokens_cache_read, tokens_cache_write, web_search_count, web_fetch_count, cost_cents,
            reported_at)
        SELECT gen_random_uuid(), :order_id, 'it-admin', 'm', date_trunc('hour', now(), 'UTC') - n * interval '1 hour',
            1, 1, 1, 0, 0, 0, 0, 1, now()
        FROM generate_series(1, :some) n""",
    """INSERT INTO token_usage_days (order_id, day, agent_id, model, tokens_input, tokens_output, tokens_cache_read,
            tokens_cache_write, web_search_count, web_fetch_count, cost_cents)
        SELECT order_id, CAST(bucket_hour AT TIME ZONE 'UTC' AS date), agent_id, model, sum(tokens_input),
            sum(tokens_output), 0, 0, 0, 0, sum(cost_cents)
        FROM token_usage_buckets WHERE agent_id = 'it-admin' AND model = 'm' GROUP BY 1, 2, 3, 4""",
    """INSERT INTO token_usage_days (order_id, day, agent_id, model, tokens_input, tokens_output, tokens_cache_read,
            tokens_cache_write, web_search_count, web_fetch_count, cost_cents)
        SELECT :order_id, current_date - n / 20, 'agent' || n % 5, 'model' || n / 5 % 4, 1, 1, 0, 0, 0, 0, 1
        FROM generate_series(1, :some) n""",
)


def statements(*, order_id: UUID, customer_id: UUID, server_id: UUID, many: int = MANY, some: int = SOME) -> list[str]:
    """What fills the tables of a Hub's database, one after the other; the last lets the planner know.

    Args:
        order_id, customer_id, server_id: who has much history of their own.
        many: how many customers, orders, servers, events and audit entries.
        some: how many of what people make by hand.
    """
    values: dict[str, UUID | int] = {
        "many": many,
        "some": some,
        "order_id": order_id,
        "customer_id": customer_id,
        "server_id": server_id,
    }
    made = []
    for statement in _STATEMENTS:
        for name, value in values.items():
            literal = f"CAST('{value}' AS uuid)" if isinstance(value, UUID) else str(int(value))
            statement = statement.replace(f":{name}", literal)
        made.append(statement)
    return [*made, "ANALYZE"]


async def fill(connection: asyncpg.Connection, made: list[str]) -> None:
    """Run what `statements` made, and close the connection."""
    try:
        for statement in made:
            await connection.execute(statement)
        # As autovacuum does sooner or later: counts are index-only where the visibility map says so.
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
