"""A Hub with its people, for the tests of its routes."""

from __future__ import annotations

import pytest

from controlplane.store.database import Database
from tests.people import People


@pytest.fixture
async def people(database: Database) -> People:
    return People(database)
