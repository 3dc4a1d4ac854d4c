"""The mail of a Hub on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controlplane.store.database import Database
from tests.integration.mail.office import Office, open_office


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with open_office(database) as office:
        yield office
