"""The administrator, on each database in turn."""

from collections.abc import AsyncIterator

import pytest

from tests.handlers.administering import Admin, administering
from tests.serving import Running


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[Admin]:
    async with administering(running) as client:
        yield client
