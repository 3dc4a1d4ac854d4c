"""How the database finds what is to be mailed: by its indexes, however much there is that is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from controlplane.store import approval_mail, mail
from controlplane.store.approval_mail import FOUND
from tests.integration.mail.office import Office, Resident

MANY = 30_000

_APPROVALS = text("""
    INSERT INTO command_approvals (id, order_id, customer_id, request_id, agent_id, command_class, tool_name, tool_args,
        args_hash, human_readable, status, requested_at, expires_at, settled_at)
    SELECT gen_random_uuid(), CAST(:order_id AS uuid), CAST(:customer_id AS uuid), 'many-' || n, 'it-admin', 'red',
        'shell', '{}', '', 'said', 'DENIED', now(), now() + interval '1 day', now()
    FROM generate_series(1, CAST(:many AS integer)) n""")
_MAILS = text("""
    INSERT INTO mails (id, kind, customer_id, recipient, subject, dedupe_key, state, created_at, next_attempt_at,
        expires_at, settled_at)
    SELECT gen_random_uuid(), 'approvals', CAST(:customer_id AS uuid), 'a@b.c', 's', 'many-' || n, 'sent', now(), now(),
        now(), now()
    FROM generate_series(1, CAST(:many AS integer)) n""")


def _fill(connection: Connection, resident: Resident) -> None:
    values = {"customer_id": resident.key, "many": MANY}
    connection.execute(_APPROVALS, {**values, "order_id": resident.order_id})
    connection.execute(_MAILS, values)


def _plan(connection: Connection, statement: Any, values: dict[str, Any]) -> str:
    connection.exec_driver_sql("ANALYZE command_approvals, mails")
    rows = connection.execute(text(f"EXPLAIN (COSTS OFF) {statement.text}"), values).scalars()
    return "\n".join(rows)


async def test_what_ended_is_not_looked_at(office: Office) -> None:
    resident = await office.resident()
    for _ in range(3):
        await office.ask(resident)
    await office.database.write(_fill, resident)
    now = office.clock.now()
    second = timedelta(seconds=1)
    due = {"now": now, "grace": second, "watched_grace": second, "pause": second, "digest": second}
    due |= {"watching": [], "default_mode": "atOnce", "most": FOUND}
    plan = await office.database.write(_plan, approval_mail._DUE, due)
    assert (
        "Index Cond: (status = 'PENDING'::text)" in plan
        or "ix_command_approvals_pending" in plan
        or "ix_command_approvals_due" in plan
    ), plan
    assert "Seq Scan on command_approvals" not in plan, plan
    assert "Seq Scan on mails" not in plan, plan
    take = {"now": now, "lease_until": now, "most": 4}
    plan = await office.database.write(_plan, mail._TAKE, take)
    assert "Seq Scan" not in plan, plan
    office.clock.advance(seconds=31)
    await office.mailer.look()
    [taken] = await office.store.take(now=office.clock.now(), lease=second, most=4)
    assert taken.subject == "3 requests wait for your decision"
