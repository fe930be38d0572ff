import pytest

from tests.upstream.echo.asking import Asker


@pytest.fixture
def ask() -> Asker:
    return Asker()
