"""Fixtures of the tests on real processes: a Hub for a module, or for one test that may kill it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.hub_process import HubProcess, copy_state
from tests.end_to_end.world import Ground, World, prepare_ground
from tests.postgres import roomy_memory

OpenHub = Callable[..., AbstractContextManager[HubProcess]]


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short path, in memory where there is room: kill -9 of a process loses nothing of it."""
    with tempfile.TemporaryDirectory(prefix="world-", dir=roomy_memory(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """A state folder with an owner and two customers, made once."""
    with short_folder() as folder:
        hub = HubProcess(folder / "state", folder / "log")
        try:
            hub.start()
            prepared = prepare_ground(hub)
            hub.terminate()
            assert hub.wait() == 0, hub.log.read_text()
            assert hub.bugs() == []
        finally:
            hub.end()
        yield prepared


@pytest.fixture(scope="session")
def open_hub(ground: Ground) -> OpenHub:
    """`with open_hub(HUB_HEARTBEAT_SECONDS="1") as hub`: a running Hub on a copy of the ground, gone afterwards."""

    @contextmanager
    def opened(**environment: str) -> Iterator[HubProcess]:
        with short_folder() as folder:
            copy_state(ground.state, folder / "state")
            hub = HubProcess(folder / "state", folder / "log", **environment)
            try:
                hub.start()
                yield hub
            finally:
                hub.end()

    return opened


@pytest.fixture(scope="module")
def module_hub(open_hub: OpenHub) -> Iterator[HubProcess]:
    """The module's Hub, which no test of it kills; it ends in order, and its log tells of no bug."""
    with open_hub() as hub:
        yield hub
        hub.terminate()
        assert hub.wait() == 0
        assert hub.bugs() == []


@pytest.fixture
async def world(module_hub: HubProcess, ground: Ground) -> AsyncIterator[World]:
    """The world around the module's Hub."""
    async with World.around(module_hub, ground) as world:
        yield world


@pytest.fixture
def own_hub(open_hub: OpenHub) -> Iterator[HubProcess]:
    """A Hub for one test, which may kill it."""
    with open_hub() as hub:
        yield hub


@pytest.fixture
async def own_world(own_hub: HubProcess, ground: Ground) -> AsyncIterator[World]:
    """The world around the test's own Hub."""
    async with World.around(own_hub, ground) as world:
        yield world
