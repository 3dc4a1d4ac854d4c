"""A journal that an earlier version wrote is taken over as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.journal.approvals import ApprovalState


def without_later_columns(path: Path) -> list[str]:
    """Make the journal what an earlier version would have left, with one request in it that waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE approvals DROP COLUMN outcome_due_at")
        connection.execute("ALTER TABLE approvals DROP COLUMN outcome")
        connection.execute(
            "INSERT INTO approvals VALUES ('r1', 'gate', 'call-1', 'it-admin', 'red', 'shell', X'7B7D', 'hash', 'says',"
            " 'requested', 1e9, 9e9, NULL, NULL, NULL, NULL)"
        )
        return [row[1] for row in connection.execute("PRAGMA table_info(approvals)")]


async def test_a_request_of_an_earlier_version_still_waits(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    async with open_wrapper():
        await hub.connected()
    assert "outcome" not in without_later_columns(tmp_path / "journal.sqlite")
    for _ in range(2):
        async with open_wrapper() as wrapper:
            (row,) = await wrapper.approvals.unfinished("gate")
            assert (row.request_id, row.state, row.outcome, row.outcome_due_at) == (
                "r1",
                ApprovalState.REQUESTED,
                None,
                None,
            )
