"""The second carrier: what a heartbeat over HTTP takes in, gives out and acknowledges."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from actors.ports import Progress
from actors.runtime.ports import SystemRandomness
from actors.tenant.changes import DeployAgent
from controlplane.store.database import Database
from controlplane.store.polling import HeartbeatAnswer, PollingStore
from controlplane.store.servers import ServerStore
from protocol.faults import Unauthorized, ValidationError
from protocol.ids import ServerId, format_id
from protocol.objects import HeartbeatBody, Resources
from protocol.words import Presence
from tests.contract.shelves import (
    ADA,
    ALL,
    NOW,
    PostgresShelf,
    Tenant,
    after,
    asked,
    decide,
    eventually,
    hello,
    registered,
)


class Polling:
    """A wrapper that has no socket."""

    def __init__(self, shelf: PostgresShelf, tenant: Tenant) -> None:
        self.shelf, self.tenant = shelf, tenant
        self._store = PollingStore(shelf.database, heartbeat_seconds=30)
        self.servers = ServerStore(shelf.database, ids=shelf.ids, randomness=SystemRandomness(), heartbeat_seconds=30)

    async def beat(self, *, late: float = 0, **values: Any) -> HeartbeatAnswer:
        body = HeartbeatBody("healthy", **values)
        return await self._store.heartbeat(self.tenant.order_id, body, at=after(seconds=late))

    async def presence(self, *, late: float = 0) -> Presence:
        [row] = await self.shelf.run("SELECT id FROM server_connections WHERE order_id = :o", o=self.tenant.order_id)
        return (await self.servers.get(ServerId(format_id("srv", row.id)), now=after(seconds=late))).presence

    async def command(self) -> str:
        issued = await self.shelf.book.issue_command(
            self.tenant.order_id, command_type="X", payload={"a": 1}, expires_at=after(days=1), author=ADA, at=NOW
        )
        return issued.command.id

    async def acked(self) -> int:
        return (await self.shelf.book.load(self.tenant.order_id)).acked_seq


@pytest.fixture
async def polling(database: Database) -> Polling:
    shelf = PostgresShelf(database)
    return Polling(shelf, await registered(shelf))


async def test_the_first_heartbeat_learns_that_there_is_a_configuration(polling: Polling) -> None:
    answer = await polling.beat()
    assert (answer.config_version, answer.config_changed) == (1, True)
    assert (await polling.beat(config_version=1)).config_changed is False
    await polling.shelf.book.change_agents(
        polling.tenant.order_id, DeployAgent(role="it-admin"), author=ADA, scope=ALL, at=NOW
    )
    assert (await polling.beat(config_version=1)).config_version == 2


async def test_what_waits_comes_with_the_answer_until_it_is_acknowledged(polling: Polling) -> None:
    await polling.beat()
    command = await polling.command()
    settled = await decide(polling.shelf, polling.tenant, await asked(polling.shelf, polling.tenant), reason="go")
    answer = await polling.beat(config_version=1, ack_seq=1)
    assert [(one.id, one.type, bytes(one.payload), one.seq) for one in answer.pending_commands] == [
        (command, "X", b'{"a":1}', 2)
    ]
    [told] = answer.pending_approvals
    assert (told.id, told.action, told.seq, told.reason) == (settled.approval.id, "approve", 3, "go")
    assert (await polling.shelf.command(polling.tenant, command)).status == "SENT"
    again = await polling.beat(config_version=1, ack_seq=2)
    assert (again.pending_commands, [one.seq for one in again.pending_approvals]) == ([], [3])
    assert (await polling.shelf.command(polling.tenant, command)).status == "ACKNOWLEDGED"
    assert (await polling.beat(config_version=1, ack_seq=3)).pending_approvals == []


async def test_a_decision_that_a_heartbeat_acknowledges_is_known_to_be_delivered(polling: Polling) -> None:
    await polling.beat()
    await decide(polling.shelf, polling.tenant, await asked(polling.shelf, polling.tenant))
    await polling.beat(config_version=1, ack_seq=1)
    await polling.beat(config_version=1, ack_seq=2, late=1)
    statement = text("SELECT acknowledged_at FROM deliveries WHERE order_id = :id AND kind = 'approvalSettled'")
    known = await polling.shelf.database.read(
        lambda connection: connection.execute(statement, {"id": polling.tenant.order_id}).scalar_one()
    )
    assert known == after(seconds=1)


async def test_a_heartbeat_without_a_number_acknowledges_the_last_answer(polling: Polling) -> None:
    await polling.beat()
    await polling.beat(config_version=1)
    await polling.command()
    assert len((await polling.beat(config_version=1)).pending_commands) == 1
    assert (await polling.beat(config_version=1)).pending_commands == []
    assert await polling.acked() == 2


async def test_a_number_beyond_what_was_promised_is_refused_and_nothing_is_changed(polling: Polling) -> None:
    await polling.beat()
    with pytest.raises(ValidationError) as refused:
        await polling.beat(ack_seq=2)
    assert [problem.field for problem in refused.value.details] == ["ackSeq"]
    assert await polling.acked() == 0


@pytest.mark.parametrize("ack", [-(2**63), -1, 0])
async def test_small_numbers_are_old_news(polling: Polling, ack: int) -> None:
    await polling.beat()
    await polling.beat(ack_seq=ack)
    assert await polling.acked() == 0


async def test_a_withdrawn_promise_is_not_shown_and_does_not_stop_the_rest(polling: Polling) -> None:
    await polling.beat()
    first, second = await polling.command(), await polling.command()
    await polling.shelf.book.reject(polling.tenant.order_id, [2], reason="no", at=NOW)
    answer = await polling.beat(config_version=1, ack_seq=1)
    assert [one.id for one in answer.pending_commands] == [second]
    assert (await polling.shelf.command(polling.tenant, first)).status == "REJECTED"
    await polling.beat(config_version=1)
    assert await polling.acked() == 3


async def test_a_revoked_key_polls_no_more(polling: Polling) -> None:
    await polling.shelf.book.revoke_key(polling.tenant.order_id, author=ADA, at=NOW)
    with pytest.raises(Unauthorized):
        await polling.beat()


async def test_presence_over_http_is_judged_by_five_minutes(polling: Polling) -> None:
    await polling.beat(resources=Resources(cpu_percent=12.5))
    assert [await polling.presence(late=late) for late in (449, 451, 899, 901)] == [
        Presence.ONLINE,
        Presence.LATE,
        Presence.LATE,
        Presence.OFFLINE,
    ]


async def test_a_poll_beside_a_live_socket_leaves_the_socket_its_presence(polling: Polling) -> None:
    attached = await polling.shelf.book.attach(
        polling.tenant.order_id, hello(), key_prefix=polling.tenant.key_prefix, session_id="s", at=NOW
    )
    await polling.beat(late=10)
    assert await polling.presence(late=10 + 46) is Presence.LATE
    polling.shelf.book.detach(polling.tenant.order_id, attached.epoch)

    async def gone() -> bool:
        return await polling.presence(late=10) is Presence.OFFLINE

    await eventually(gone)


async def test_a_socket_whose_node_was_killed_gives_way_to_polling(polling: Polling) -> None:
    await polling.shelf.book.attach(
        polling.tenant.order_id, hello(), key_prefix=polling.tenant.key_prefix, session_id="s", at=NOW
    )
    await polling.beat(late=300)
    assert await polling.presence(late=600) is Presence.ONLINE


async def test_both_carriers_move_one_mark(polling: Polling) -> None:
    await polling.beat()
    await polling.command()
    polling.shelf.book.progress(Progress(polling.tenant.order_id, 2, 2, NOW))

    async def marked() -> bool:
        return await polling.acked() == 2

    await eventually(marked)
    assert (await polling.beat(config_version=1)).pending_commands == []
