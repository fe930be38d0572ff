from collections.abc import AsyncIterator

import openai
import pytest

from llm_backend.upstream.echo import Echo
from llm_backend.upstream.echo.server import EchoServer
from tests.upstream.echo.asking import Asker


@pytest.fixture
def ask() -> Asker:
    return Asker()


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    async with EchoServer(Echo()) as running:
        yield running


@pytest.fixture
async def sdk(server: EchoServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as running:
        yield running


@pytest.fixture
def strict(sdk: openai.AsyncOpenAI) -> openai.AsyncOpenAI:
    """An answer that is not as its types say is an error; vectors in base64 are not."""
    return sdk.with_options(_extra_kwargs={"_strict_response_validation": True})
