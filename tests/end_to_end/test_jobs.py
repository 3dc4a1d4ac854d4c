"""Jobs by the clock in a real Hub: run at its start by itself, and from outside by the secret of its state folder."""

from __future__ import annotations

import httpx
import pytest

from controlplane.services.jobs import APPROVAL_EXPIRY, FORGETTING, STATS_CLEANUP
from tests.end_to_end.hub_process import until
from tests.end_to_end.world import World

EXPIRY = "/api/v1/cron/approval-expiry"
FINISHED = "SELECT job FROM job_runs WHERE finished_at IS NOT NULL ORDER BY job"


async def test_every_job_has_run_once_the_hub_is_up(world: World) -> None:
    wanted = sorted([APPROVAL_EXPIRY, STATS_CLEANUP, FORGETTING])
    await until(lambda: [job for (job,) in world.hub.sql(FINISHED)] == wanted, what="every job has run")


@pytest.mark.parametrize("secret", ["wrong", "x" * 43])
async def test_a_wrong_secret_starts_nothing(world: World, secret: str) -> None:
    assert (await _post(world, secret)).status_code == 401


async def test_the_secret_of_the_state_folder_starts_a_job(world: World) -> None:
    secret = (world.hub.state / "secrets" / "cron-secret").read_text().strip()
    answer = await _post(world, secret)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["job"] == APPROVAL_EXPIRY
    assert secret not in world.hub.log.read_text()


async def _post(world: World, secret: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=world.hub.url, headers={"Authorization": f"Bearer {secret}"}) as client:
        return await client.post(EXPIRY)
