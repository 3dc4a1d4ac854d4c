"""What programs of the server report: kept before it is answered, added up, told once, bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trio

from protocol.words import BackupOutcome
from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer, moment
from wrapper.daemon import Wrapper
from wrapper.journal import reports as journal
from wrapper.local_api import LocalApi
from wrapper.ports import SystemClock
from wrapper.reports import BackupReport, UsageReport
from wrapper.reports_api import ReportsApi

CALL = {"agentId": "marketing", "model": "deepseek/deepseek-v3.2", "tokensInput": 1000, "tokensOutput": 200}
DEED = {"agentId": "secretary", "kind": "mail.answered", "summary": "Answered 3 mails"}


class Program:
    """A program of the server that reports."""

    def __init__(self, wrapper: Wrapper, client: httpx.AsyncClient) -> None:
        self.wrapper = wrapper
        self.client = client

    async def report(self, what: str, body: Any, status: int = 201) -> dict[str, Any]:
        answer = await self.client.post(f"/report/{what}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, what: str, body: Any) -> list[str]:
        error = (await self.report(what, body, 400))["error"]
        assert error["code"] == "VALIDATION_ERROR"
        return sorted(problem["field"] for problem in error["details"])


OpenProgram = Callable[..., AbstractAsyncContextManager[Program]]


@pytest.fixture
def open_program(open_wrapper: OpenWrapper) -> OpenProgram:
    @asynccontextmanager
    async def opened(**fittings: Any) -> AsyncIterator[Program]:
        async with open_wrapper(**fittings) as wrapper, trio.open_nursery() as nursery:
            api = LocalApi()
            ReportsApi(lambda: wrapper).add_to(api)
            port = await nursery.start(api.serve, "127.0.0.1", 0)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield Program(wrapper, client)
            nursery.cancel_scope.cancel()

    return opened


def hour(back: int = 0) -> str:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=back)
    return now.isoformat().replace("+00:00", "Z")


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 (what the wrapper has heard is seen nowhere else)
            await trio.sleep(0.01)


async def all_taken(wrapper: Wrapper) -> None:
    """Until the wrapper knows that the Hub has taken everything."""
    await until(lambda: wrapper.status()["safetyWrapper"]["owed"] == 0)


def buckets(hub: HubPeer) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The Hub's books: of each hour the highest revision."""
    kept: dict[tuple[str, str, str], dict[str, Any]] = {}
    for frame in hub.taken.values():
        for bucket in frame.get("buckets", ()):
            key = (bucket["agentId"], bucket["model"], bucket["bucketHour"])
            if key not in kept or bucket["revision"] > kept[key]["revision"]:
                kept[key] = bucket
    return kept


# --- usage -------------------------------------------------------------------------------------------------


async def test_calls_add_up_by_hour_agent_and_model(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program() as program:
        at = hour(2).replace(":00:00", ":17:03")
        for _ in range(3):
            await program.report("usage", CALL | {"at": at, "costCents": 0.4, "webSearchCount": 1})
        await program.report("usage", CALL | {"at": hour(1)})
        await program.report("usage", CALL | {"at": at, "agentId": "sales"})
        await program.report("usage", CALL | {"at": at, "model": "other"})
        await program.wrapper.reports.tell()
        await hub.message("usage")
    told = buckets(hub)
    assert len(told) == 4
    assert told["marketing", CALL["model"], hour(2)] == {
        "agentId": "marketing",
        "model": CALL["model"],
        "bucketHour": hour(2),
        "tokensInput": 3000,
        "tokensOutput": 600,
        "tokensCacheRead": 0,
        "tokensCacheWrite": 0,
        "webSearchCount": 3,
        "webFetchCount": 0,
        "costCents": 1,
        "revision": 1,
    }


async def test_an_hour_that_grows_is_told_again_under_a_higher_revision(
    hub: HubPeer, open_program: OpenProgram
) -> None:
    async with open_program() as program:
        for turn in (1, 2, 3):
            await program.report("usage", CALL | {"at": hour(1)})
            await program.wrapper.reports.tell()
            await hub.message("usage", turn)
            await all_taken(program.wrapper)
        await program.wrapper.reports.tell()  # nothing has grown
    sent = [frame["buckets"][0] for frame in hub.taken.values() if frame["type"] == "usage"]
    assert [(bucket["revision"], bucket["tokensInput"]) for bucket in sent] == [(1, 1000), (2, 2000), (3, 3000)]


async def test_while_the_hub_is_away_usage_is_merged_and_not_piled_up(hub: HubPeer, open_program: OpenProgram) -> None:
    hub.accept = False
    async with open_program() as program:
        for back in range(48, 0, -1):
            for _ in range(3):
                await program.report("usage", CALL | {"at": hour(back)})
                await program.wrapper.reports.tell()
        assert program.wrapper.status()["safetyWrapper"]["owed"] == 1
    hub.accept = True
    async with open_program() as program:
        await hub.message("usage")
        await all_taken(program.wrapper)
        await program.wrapper.reports.tell()
        await hub.message("usage", 2)
    told = buckets(hub)
    assert len(told) == 48
    assert {bucket["tokensInput"] for bucket in told.values()} == {3000}


async def test_more_hours_than_a_report_holds_follow_one_another(
    hub: HubPeer, open_program: OpenProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REPORTED_AT_ONCE", 2)
    async with open_program() as program:
        for back in range(5):
            await program.report("usage", CALL | {"at": hour(back + 1)})
        for turn in (1, 2, 3):
            await program.wrapper.reports.tell()
            await hub.message("usage", turn)
            await all_taken(program.wrapper)
    assert len(buckets(hub)) == 5


async def test_a_report_with_an_id_counts_once_also_after_a_restart(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program() as program:
        assert (await program.report("usage", CALL | {"id": "call-1"}))["repeated"] is False
        assert (await program.report("usage", CALL | {"id": "call-1"}, 200))["repeated"] is True
        await program.report("activity", DEED | {"id": "call-1"})  # another kind: another id
    async with open_program() as program:
        await program.report("usage", CALL | {"id": "call-1"}, 200)
        await program.report("activity", DEED | {"id": "call-1"}, 200)
        await program.report("backup", {"status": "success", "id": "call-1"})
        await program.report("backup", {"status": "success", "id": "call-1"}, 200)
        await program.wrapper.reports.tell()
        await hub.message("usage")
        await hub.message("backupStatus")
        await hub.message("activity")
    assert [bucket["tokensInput"] for bucket in buckets(hub).values()] == [1000]
    assert sorted(frame["type"] for frame in hub.taken.values()) == ["activity", "backupStatus", "usage"]


async def test_ids_are_remembered_within_a_bound(open_program: OpenProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "REMEMBERED_IDS", 3)
    async with open_program() as program:
        for number in range(5):
            await program.report("usage", CALL | {"id": f"call-{number}"})
        await program.report("usage", CALL | {"id": "call-4"}, 200)
        await program.report("usage", CALL | {"id": "call-2"}, 200)
        await program.report("usage", CALL | {"id": "call-1"}, 201)


async def test_hours_are_kept_within_a_bound(open_program: OpenProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BUCKETS", 2)
    async with open_program() as program:
        for model in ("a", "b", "a"):
            await program.report("usage", CALL | {"model": model, "at": hour(1)})
        answer = await program.report("usage", CALL | {"model": "c", "at": hour(1)}, 503)
        assert answer["error"]["code"] == "OVERLOADED"
        await program.report("usage", CALL | {"model": "b", "at": hour(1)})


class LaterClock(SystemClock):
    """The machine's clock, some time from now."""

    def __init__(self, **later: float) -> None:
        self._later = timedelta(**later)

    def now(self) -> datetime:
        return super().now() + self._later


async def test_old_hours_are_forgotten_once_they_were_told(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program() as program:
        await program.report("usage", CALL | {"at": hour(1)})
        await program.wrapper.reports.tell()
        await hub.message("usage")
        await all_taken(program.wrapper)
        hub.accept = False
        await program.report("usage", CALL | {"at": hour(2)})
        await program.wrapper.reports.tell()
        await program.report("usage", CALL | {"at": hour(3)})
    async with open_program(clock=LaterClock(days=40)) as program:
        rows = await program.wrapper.journal.run(_forgotten)
    assert rows == [1]  # the one that was never told


def _forgotten(transaction: Any) -> list[int]:
    journal.forget_old(transaction)
    return [row[0] for row in transaction.execute("SELECT changed FROM usage_sums")]


async def test_the_hours_are_the_hubs_even_where_this_clock_is_wrong(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program(clock=LaterClock(hours=5)) as program:
        await hub.connected()
        await until(lambda: program.wrapper.status()["safetyWrapper"]["connected"])
        before = hour()
        await program.report("usage", CALL)
        await program.wrapper.reports.tell()
        await hub.message("usage")
    assert {key[2] for key in buckets(hub)} <= {before, hour()}


# --- activity ----------------------------------------------------------------------------------------------


async def test_activity_is_told_as_it_was_reported(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program() as program:
        at = moment(-60)
        told = await program.report("activity", DEED | {"at": at, "data": {"mails": [1, "\u202e<b>"]}})
        assert told == {"kept": True, "repeated": False, "dropped": 0}
        frame = await hub.message("activity")
        active = program.wrapper.gate.last_active["secretary"]
    assert frame == {"type": "activity", "id": frame["id"], "at": at, **DEED, "data": {"mails": [1, "\u202e<b>"]}}
    assert active.isoformat().replace("+00:00", "Z") == at


async def test_what_does_not_fit_is_counted_and_the_count_is_told(
    hub: HubPeer, open_program: OpenProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ACTIVITIES", 4)
    monkeypatch.setattr(journal, "ROOM", 2)
    hub.accept = False
    async with open_program() as program:
        for number in range(4):
            await program.report("activity", DEED | {"summary": f"mail {number}"})
        for number in range(3):
            answer = await program.report("activity", DEED | {"summary": f"lost {number}"}, 202)
            assert answer == {"kept": False, "repeated": False, "dropped": number + 1}
        assert program.wrapper.status()["safetyWrapper"]["activitiesDropped"] == 3
        await program.wrapper.reports.tell()
    hub.accept = True
    async with open_program() as program:
        assert program.wrapper.status()["safetyWrapper"]["activitiesDropped"] == 3
        await hub.message("activity", 4)
        await all_taken(program.wrapper)
        await program.wrapper.reports.tell()
        told = await hub.message("activity", 5)
        assert (told["agentId"], told["kind"], told["data"]["count"]) == ("safety-wrapper", "activitiesDropped", 3)
        assert "3 reports of activity were dropped" in told["summary"]
        assert told["data"]["since"] <= told["data"]["until"]
        await program.report("activity", DEED)
        assert (await hub.message("activity", 6))["summary"] == DEED["summary"]
        assert program.wrapper.status()["safetyWrapper"]["activitiesDropped"] == 0
    assert not [frame for frame in hub.taken.values() if frame["summary"].startswith("lost")]


# --- backups -----------------------------------------------------------------------------------------------


async def test_a_backup_is_told_and_stands_in_every_heartbeat(hub: HubPeer, open_program: OpenProgram) -> None:
    async with open_program() as program:
        began, ended = moment(-600), moment(-300)
        await program.report("backup", {"status": "running", "startedAt": began})
        report = {"status": "success", "startedAt": began, "finishedAt": ended, "sizeBytes": 4_200_000_000}
        await program.report("backup", report | {"detail": "nightly\0"})
        running, done = await hub.message("backupStatus"), await hub.message("backupStatus", 2)
        assert (running["status"], running["finishedAt"]) == ("running", None)
        assert done == {
            "type": "backupStatus",
            "id": done["id"],
            **report,
            "detail": "nightly\N{REPLACEMENT CHARACTER}",
        }
        await program.report("backup", {"status": "failed", "finishedAt": moment(-400)})  # told late: an older one
    async with open_program():
        beat = await hub.until(lambda: next((f for f in hub.frames[::-1] if f["type"] == "heartbeat"), None))
        await hub.connected(2)
        await hub.until(lambda: [f for f in hub.frames if f["type"] == "heartbeat"][1:])
        beat = [f for f in hub.frames if f["type"] == "heartbeat"][-1]
    assert beat["backupStatus"] == {"lastBackup": ended, "status": "success", "sizeGb": 4.2}


async def test_a_backup_that_ended_without_a_time_ended_now(open_wrapper: OpenWrapper) -> None:
    async with open_wrapper() as wrapper:
        await wrapper.reports.backup_status(BackupReport(BackupOutcome.FAILED))
        assert wrapper.reports.backup is not None
        last = wrapper.reports.backup.last_backup
        assert last is not None
        assert abs((datetime.now(UTC) - last).total_seconds()) < 60


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "body", "fields"),
    [
        ("usage", {}, ["agentId", "model"]),
        (
            "usage",
            {"agentId": "", "model": "m\0", "tokensInput": -1, "tokensOutput": 1.5, "costCents": "1", "x": 1},
            ["agentId", "costCents", "model", "tokensInput", "tokensOutput", "x"],
        ),
        ("usage", CALL | {"at": "2026-03-15T14:00:00"}, ["at"]),
        ("usage", CALL | {"at": moment(3600)}, ["at"]),
        ("usage", CALL | {"at": moment(-32 * 86_400)}, ["at"]),
        ("usage", CALL | {"tokensInput": 10**12 + 1}, ["tokensInput"]),
        ("activity", {"agentId": "a" * 201, "kind": 1}, ["agentId", "kind", "summary"]),
        ("activity", DEED | {"summary": "x" * 10_001, "at": "yesterday"}, ["at", "summary"]),
        ("activity", DEED | {"data": "x" * 70_000}, ["data"]),
        ("activity", DEED | {"id": "with space"}, ["id"]),
        ("backup", {"status": "fine", "sizeBytes": -1}, ["sizeBytes", "status"]),
        (
            "backup",
            {"status": "success", "startedAt": moment(3600), "finishedAt": moment(7200)},
            ["finishedAt", "startedAt"],
        ),
        ("backup", {"status": "success", "startedAt": moment(-10), "finishedAt": moment(-20)}, ["finishedAt"]),
        ("backup", [], ["body"]),
    ],
)
async def test_every_bad_field_is_named_and_nothing_is_kept(
    hub: HubPeer, open_program: OpenProgram, what: str, body: Any, fields: list[str]
) -> None:
    async with open_program() as program:
        assert await program.refused(what, body) == fields
        await program.wrapper.reports.tell()
        assert program.wrapper.status()["safetyWrapper"]["owed"] == 0
        assert program.wrapper.gate.last_active == {}
        assert program.wrapper.reports.backup is None


async def test_before_the_registration_nothing_is_taken() -> None:
    async with trio.open_nursery() as nursery:
        api = LocalApi()
        ReportsApi(lambda: None).add_to(api)
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            answer = await client.post("/report/usage", json=CALL)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert (await client.get("/report/usage")).status_code == 405
        nursery.cancel_scope.cancel()


async def test_a_thousand_agents_are_remembered_and_not_more(open_wrapper: OpenWrapper) -> None:
    async with open_wrapper() as wrapper:
        wrapper.gate.last_active |= {f"agent-{number}": datetime.now(UTC) for number in range(1000)}
        await wrapper.reports.usage(UsageReport("one-more", "m"))
        assert "one-more" not in wrapper.gate.last_active
