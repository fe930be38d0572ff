"""Who asks, on each database in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faulty import FaultyUpstream
from tests.handlers.administering import Admin, administering
from tests.handlers.conversing import Talker, conversing
from tests.handlers.responding import KINDS, Asked, asking
from tests.serving import Running


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[Admin]:
    async with administering(running) as client:
        yield client


@pytest.fixture
async def talker(running: Running) -> AsyncIterator[Talker]:
    async with conversing(running) as client:
        yield client


@pytest.fixture
async def stranger(running: Running, admin: Admin) -> AsyncIterator[Talker]:
    """Another account's."""
    made = await admin.account("stranger")
    async with conversing(running, made["api_key"]) as client:
        yield client


@pytest.fixture(params=KINDS)
async def asked(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, request: pytest.FixtureRequest
) -> AsyncIterator[Asked]:
    """A server whose upstream has responses, and one whose upstream has chats only."""
    async with asking(database_url, tmp_path, upstream, request.param) as made:
        yield made
