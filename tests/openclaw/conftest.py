"""Opt-in: these tests install and start the real OpenClaw gateway (HUB_TEST_OPENCLAW=1, `make test-openclaw`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.wrapper.conftest import hub, open_wrapper
from tests.openclaw.gateway_process import GatewayProcess, gateway_process, install

__all__ = ["hub", "open_wrapper"]

REASON = "needs the OpenClaw gateway from npm: run `make test-openclaw` (sets HUB_TEST_OPENCLAW=1)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.openclaw)
            if os.environ.get("HUB_TEST_OPENCLAW") != "1":
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    install()
    with gateway_process(tmp_path_factory.mktemp("openclaw")) as gateway:
        yield gateway


@pytest.fixture
async def gateway(running_gateway: GatewayProcess) -> GatewayProcess:
    await running_gateway.ready()
    return running_gateway
