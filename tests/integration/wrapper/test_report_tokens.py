"""Agents with tokens report usage and activity in their own name alone, over HTTP and by hand; backups are nobody's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import TOKEN, HubPeer
from tests.integration.wrapper.test_gate_tokens import ADMIN, CLI, SECRETARY, bearer, code, written
from tests.integration.wrapper.test_wrapper_process import running
from wrapper.agent_tokens import read_agent_tokens
from wrapper.daemon import Wrapper
from wrapper.local_api import LocalApi
from wrapper.reports_api import ReportsApi

USAGE: dict[str, Any] = {"agentId": "it-admin", "model": "deepseek/deepseek-v3.2", "tokensInput": 1000}
ACTIVITY: dict[str, Any] = {"agentId": "it-admin", "kind": "note", "summary": "Looked at the disks"}


@asynccontextmanager
async def port_of(open_wrapper: OpenWrapper, folder: Path) -> AsyncIterator[tuple[Wrapper, httpx.AsyncClient]]:
    async with open_wrapper() as wrapper, trio.open_nursery() as nursery:
        api = LocalApi()
        ReportsApi(lambda: wrapper, read_agent_tokens(written(folder))).add_to(api)
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            yield wrapper, client
        nursery.cancel_scope.cancel()


def told(hub: HubPeer, kind: str) -> list[dict[str, Any]]:
    return [frame for frame in hub.taken.values() if frame["type"] == kind]


@pytest.mark.parametrize(("what", "report"), [("usage", USAGE), ("activity", ACTIVITY)])
async def test_who_has_no_token_of_its_own_reports_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path, what: str, report: dict[str, Any]
) -> None:
    async with port_of(open_wrapper, tmp_path) as (wrapper, client):
        path = f"/report/{what}"
        wrong: list[dict[str, str]] = [{}, bearer("x" * 32), {"Authorization": f"Basic {ADMIN}"}, bearer(ADMIN + "a")]
        for headers in wrong:
            assert code(await client.post(path, json=report, headers=headers)) == (401, "UNAUTHORIZED")
        foreign = await client.post(path, json=report, headers=bearer(SECRETARY))
        assert code(foreign) == (403, "FORBIDDEN")
        assert ADMIN not in foreign.text
        unknown = await client.post(path, json=report | {"agentId": "sales"}, headers=bearer(ADMIN))
        assert code(unknown) == (403, "FORBIDDEN")
        # What is told last is all that the Hub hears.
        last = await client.post(path, json=report | {"id": "last"}, headers=bearer(ADMIN))
        assert last.status_code == 201
        await wrapper.reports.tell()
        await hub.message(what)
    [heard] = told(hub, what)
    if what == "usage":
        assert [(one["agentId"], one["tokensInput"]) for one in heard["buckets"]] == [("it-admin", 1000)]
    else:
        assert (heard["agentId"], heard["summary"]) == ("it-admin", "Looked at the disks")


async def test_an_id_is_its_agent_s_own(open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with port_of(open_wrapper, tmp_path) as (_, client):
        for what, report in (("usage", USAGE), ("activity", ACTIVITY)):
            squatted = report | {"agentId": "secretary", "id": "call-1"}
            assert (await client.post(f"/report/{what}", json=squatted, headers=bearer(SECRETARY))).status_code == 201
            mine = report | {"id": "call-1"}
            for status in (201, 200):
                answer = await client.post(f"/report/{what}", json=mine, headers=bearer(ADMIN))
                assert (answer.status_code, answer.json()["repeated"]) == (status, status == 200)


async def test_a_backup_is_told_without_a_token(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with port_of(open_wrapper, tmp_path) as (_, client):
        for headers in ({}, bearer(ADMIN)):
            answer = await client.post("/report/backup", json={"status": "success", "id": "nightly"}, headers=headers)
            assert answer.status_code == (200 if headers else 201)
        assert (await hub.message("backupStatus"))["status"] == "success"


async def test_bad_fields_are_named_whoever_calls(open_wrapper: OpenWrapper, tmp_path: Path) -> None:
    async with port_of(open_wrapper, tmp_path) as (_, client):
        answer = await client.post("/report/usage", json={"agentId": 5, "model": ""}, headers=bearer(ADMIN))
        assert code(answer) == (400, "VALIDATION_ERROR")


async def test_the_command_by_hand_takes_the_agent_s_token(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
) -> None:
    async with port_of(open_wrapper, tmp_path) as (_, client):
        mine, other = tmp_path / "token", tmp_path / "other"
        mine.write_text(f"{ADMIN}\n")
        other.write_text(f"{SECRETARY}\n")

        async def by_hand(*words: str) -> tuple[int, str]:
            command = [CLI, "report", *words, "--address", f"127.0.0.1:{client.base_url.port}"]
            run = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
            return run.returncode, (run.stdout + run.stderr).decode()

        activity = ("activity", "Looked at the disks", "--agent", "it-admin")
        usage = ("usage", "--agent", "it-admin", "--model", "m", "--tokens-input", "5")
        for words in (activity, usage):
            status, said = await by_hand(*words)
            assert (status, "Authorization: Bearer" in said) == (1, True), said
            status, said = await by_hand(*words, "--token-file", str(other))
            assert (status, "opens nothing for it-admin" in said) == (1, True), said
            assert await by_hand(*words, "--token-file", str(mine)) == (0, "Told.\n")
        assert (await by_hand("backup", "success"))[0] == 0
        assert (await hub.message("activity"))["agentId"] == "it-admin"


async def test_the_running_wrapper_demands_them(hub: HubPeer, tmp_path: Path) -> None:
    options = ("--registration-token", TOKEN, "--agent-tokens-file", str(written(tmp_path)), "--log-format", "json")
    with running(hub, tmp_path / "state", *options):
        await hub.connected()
        found = re.search(r'"port": ?(\d+)', (tmp_path / "log").read_text())
        assert found is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{found[1]}", trust_env=False, timeout=60) as client:
            assert code(await client.post("/report/activity", json=ACTIVITY)) == (401, "UNAUTHORIZED")
            kept = await client.post("/report/activity", json=ACTIVITY, headers=bearer(ADMIN))
            assert kept.status_code == 201
    log = (tmp_path / "log").read_text()
    assert "report.refused" in log
    assert ADMIN not in log
