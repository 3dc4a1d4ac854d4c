"""Scripted agents tell of weeks before their first start, all of it, and once."""

from __future__ import annotations

from datetime import UTC, datetime

import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.daemon import Wrapper
from wrapper.ports import SystemClock, SystemRandomness
from wrapper.scripted_reports import PAST_NIGHTS, ScriptedReports
from wrapper.scripted_usage import past_usage

AGENTS = ["marketing", "secretary"]


def heard(hub: HubPeer, kind: str) -> list[dict]:
    return [frame for frame in hub.taken.values() if frame["type"] == kind]


async def told(wrapper: Wrapper, hub: HubPeer, hours: int) -> None:
    """Run until the Hub knows of so many hours and of all nights, and nothing is on its way."""
    scripted = ScriptedReports(wrapper, SystemRandomness(), SystemClock(), company="bakery", past=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scripted.run, AGENTS, 0.0)
        with trio.fail_after(60):
            while True:
                known = {
                    (one["agentId"], one["bucketHour"]) for frame in heard(hub, "usage") for one in frame["buckets"]
                }
                owed = wrapper.status()["safetyWrapper"]["owed"]
                if len(known) >= hours and len(heard(hub, "backupStatus")) > PAST_NIGHTS and not owed:
                    break
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()


async def test_weeks_of_usage_and_backups_are_told_once(hub: HubPeer, open_wrapper: OpenWrapper) -> None:
    began = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    wanted = list(past_usage("bakery", AGENTS, began))
    async with open_wrapper() as wrapper:
        await told(wrapper, hub, len(wanted) - len(AGENTS))  # the hour may have struck meanwhile
        assert (await wrapper.reports.usages(wanted, "scripted-weeks")).repeated
        await told(wrapper, hub, len(wanted) - len(AGENTS))
        await wrapper.reports.tell()
    newest = {
        (one["agentId"], one["bucketHour"]): one["tokensInput"]
        for frame in heard(hub, "usage")
        for one in sorted(frame["buckets"], key=lambda one: one["revision"])
    }
    expected = {(one.agent_id, f"{one.at:%Y-%m-%dT%H:%M:%SZ}"): one.tokens_input for one in wanted}
    assert {key: newest[key] for key in newest.keys() & expected.keys()} == {
        key: expected[key] for key in newest.keys() & expected.keys()
    }
    assert len(newest.keys() & expected.keys()) >= len(expected) - len(AGENTS)
    nights = heard(hub, "backupStatus")
    assert {frame["status"] for frame in nights} == {"success", "failed"}
    assert len({frame["startedAt"] for frame in nights}) == len(nights)
