"""The official Python SDK, newest 3.x, where the operator has written down which models there are."""

import openai
import pytest
from openai import AsyncOpenAI

from tests.clients.test_python_sdk import says
from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = """
[models."vendor/family/large"]
upstream_model = "echo"
context_length = 8192

[models.small]
upstream_model = "echo"

[aliases]
"team/best" = "vendor/family/large"
"""


@pytest.fixture(scope="module")
def toml() -> str:
    return MODELS


async def test_those_and_their_aliases_are_listed_and_no_others(client: AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]

    assert listed == ["vendor/family/large", "small", "team/best"]


@pytest.mark.parametrize("name", ["vendor/family/large", "team/best", "small"])
async def test_an_id_with_slashes_is_retrieved_and_answers(client: AsyncOpenAI, platform: Running, name: str) -> None:
    model = await client.models.retrieve(name)
    answer = await client.chat.completions.create(model=name, messages=says("Hi"))

    assert (model.id, answer.model) == (name, name)
    (record,) = await platform.records()
    assert (record.model, record.upstream_model) == (name, "echo")


async def test_a_slash_may_come_encoded_as_other_clients_send_it(client: AsyncOpenAI) -> None:
    model = await client.get("/models/vendor%2Ffamily%2Flarge", cast_to=openai.types.Model)

    assert model.id == "vendor/family/large"
    assert model.model_extra == {"context_length": 8192}


async def test_any_other_model_is_not_found_and_nobody_is_asked(client: AsyncOpenAI, platform: Running) -> None:
    assert platform.echo
    asked_before = len(platform.echo.calls)
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model="echo", messages=says("Hi"), stream=True)
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("vendor/family")

    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert await platform.records() == []
    assert len(platform.echo.calls) == asked_before
