import pytest

from tests.upstream.listers import Lister


@pytest.fixture
async def lister() -> Lister:
    return Lister()
