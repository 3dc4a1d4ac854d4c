"""The walk is taken once, and all tests look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from tests.end_to_end.contract import besides_steps, people_steps, records_steps, tenant_steps
from tests.end_to_end.contract.walk import CRON_SECRET, Walk, take
from tests.end_to_end.fixtures import short_folder
from tests.end_to_end.hub_process import HubProcess


async def _walk(walk: Walk) -> None:
    await take(walk, [*people_steps.STEPS, *records_steps.FIRST, *tenant_steps.STEPS, *besides_steps.STEPS])
    server = tenant_steps.Server(walk)
    with server.running(await tenant_steps.token_for(walk, "order")):
        await server.ready()
        await take(walk, [*records_steps.LAST, *besides_steps.WITH_A_WRAPPER, *tenant_steps.wrapper_steps(server)])
    await walk.aclose()


@pytest.fixture(scope="package")
def walked() -> Iterator[Walk]:
    """Every due endpoint was called on a fresh Hub; its log tells of no bug."""
    with short_folder() as folder:
        settings = {
            "HUB_CRON_SECRET": CRON_SECRET,
            "HUB_SMTP_URL": f"file://{folder / 'mail'}",
        }
        hub = HubProcess(folder / "state", folder / "log", **settings)
        try:
            hub.start()
            walk = Walk(hub, folder)
            trio.run(_walk, walk)
            bugs = hub.bugs()
            if bugs:
                walk.failures["the Hub's log"] = str(bugs)
            yield walk
        finally:
            hub.end()
