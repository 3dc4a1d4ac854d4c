"""The mail of a Hub on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controlplane.store.database import Database
from tests.integration.mail.office import Office, open_office
from tests.people import People


@pytest.fixture
async def people(database: Database) -> People:
    return People(database)


@pytest.fixture
async def office(people: People) -> AsyncIterator[Office]:
    async with open_office(people) as office:
        yield office
