"""Fixtures: a scripted Hub, and wrappers that talk to it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.wrapper.hub_peer import KEY, HubPeer
from wrapper.daemon import Fittings, Wrapper
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.ports import SystemRandomness

OpenWrapper = Callable[..., AbstractAsyncContextManager[Wrapper]]


class Eager(SystemRandomness):
    """Jitter that is always short, so that tests with the real clock need not wait."""

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * random.uniform(0, 0.02)


@pytest.fixture
async def hub() -> AsyncIterator[HubPeer]:
    async with HubPeer().serving() as peer:
        yield peer


@pytest.fixture
def open_wrapper(hub: HubPeer, tmp_path: Path) -> OpenWrapper:
    """Opens a wrapper on one journal that lasts through the test."""

    @asynccontextmanager
    async def opened(journal: Path | None = None, **fittings: Any) -> AsyncIterator[Wrapper]:
        fittings = {"version": "1.2.3", "measure_resources": False, "randomness": Eager()} | fittings
        async with Wrapper.open(
            HubAddress(hub.url),
            Secret(KEY),
            journal_path=journal or tmp_path / "journal.sqlite",
            fittings=Fittings(**fittings),
        ) as wrapper:
            yield wrapper

    return opened
