"""kill -9 of PostgreSQL under load: clear 503s, back by itself, what was answered is there, what was not is whole."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest
import trio

from tests.end_to_end.hub_process import until
from tests.end_to_end.scripted_wrapper import approval_request
from tests.end_to_end.world import World


@pytest.mark.slow
async def test_killed_three_times_under_load(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    answers: list[httpx.Response] = []
    heard: list[int] = []
    done = trio.Event()

    async def issue() -> None:
        path = f"/api/v1/admin/servers/{tenant.server_id}/command"
        while not done.is_set():
            answers.append(await world.staff.call("POST", path, {"type": "PING"}))
            await trio.sleep(0.005)

    def made() -> list[str]:
        return [answer.json()["data"]["id"] for answer in answers if answer.status_code == 201]

    async with tenant.connected() as wrapper:

        async def take() -> None:
            while True:
                frame = await wrapper.hear("command", "accepted", "refused", within_seconds=60)
                if frame["type"] == "command":
                    heard.append(frame["seq"])
                    await wrapper.ack()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            async with trio.open_nursery() as people:
                for _ in range(3):
                    people.start_soon(issue)
                for _ in range(3):
                    goal = len(made()) + 40
                    await until(lambda goal=goal: len(made()) >= goal)
                    refused = sum(answer.status_code == 503 for answer in answers)
                    os.kill(hub.postmaster_pid, signal.SIGKILL)
                    killed_at = time.monotonic()
                    await until(lambda refused=refused: sum(a.status_code == 503 for a in answers) > refused)
                    goal = len(made())
                    await until(lambda goal=goal: len(made()) > goal)
                    assert time.monotonic() - killed_at < 10
                done.set()
            await until(lambda: len(heard) >= tenant.marks()[0] - 1)
            nursery.cancel_scope.cancel()
        # The same socket as ever, and it works.
        assert heard == list(range(2, len(heard) + 2))

    for answer in answers:
        assert answer.status_code in (201, 503), answer.text
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] == "OVERLOADED"
            assert int(answer.headers["Retry-After"]) >= 1
    rows = hub.sql("SELECT id, seq FROM remote_commands WHERE order_id = $1", tenant.order)
    assert len(made()) <= len(rows)  # an answer may have been lost, never a command that was answered
    assert {row[1] for row in rows} == set(heard)
    audit = "SELECT count(*) FROM audit_entries WHERE action = 'command.issued'"
    assert hub.value(audit) == len(rows)
    promises = tenant.promises("command")
    assert [seq for seq, _, _ in promises] == heard
    assert len(hub.logged("postgres.ended")) == 3
    assert (await world.nobody.call("GET", "/readyz")).status_code == 200
    assert hub.bugs() == []
    async with tenant.connected(lastSeq=heard[-1]) as wrapper:
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []


async def test_a_message_that_comes_while_the_database_is_gone_is_told_to_come_again(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    request = approval_request()
    async with tenant.connected() as wrapper:
        os.kill(hub.postmaster_pid, signal.SIGSTOP)
        postmaster = hub.postmaster_pid
        os.kill(postmaster, signal.SIGKILL)
        answer = await wrapper.verdict(request)
        tries = 1
        while answer["type"] == "refused":
            assert (answer["code"], answer["temporary"]) == ("OVERLOADED", True)
            await trio.sleep(0.1)
            answer = await wrapper.verdict(request)
            tries += 1
        assert answer == {"type": "accepted", "ids": [request["id"]]}
    assert (await tenant.approval_of(request))["status"] == "PENDING"
    assert hub.value("SELECT count(*) FROM command_approvals WHERE order_id = $1", tenant.order) == 1
    assert hub.bugs() == []
