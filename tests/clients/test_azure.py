"""Azure's client of the official Python SDK: its paths, its key's header, its version in the query."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai import AsyncAzureOpenAI, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError
from openai.types.chat import ChatCompletionUserMessageParam

from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSION = "2024-10-21"
SAID: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "one two three"}]


@pytest_asyncio.fixture(loop_scope="module")
async def azure(platform: Running) -> AsyncIterator[AsyncAzureOpenAI]:
    async with AsyncAzureOpenAI(azure_endpoint=platform.root, api_key=platform.key, api_version=VERSION) as sdk:
        yield sdk


async def test_a_chat_names_its_deployment_and_is_answered_whole(azure: AsyncAzureOpenAI, platform: Running) -> None:
    answer = await azure.chat.completions.create(model="gpt-4", messages=SAID)

    assert answer.choices[0].message.content == "one two three"
    (record,) = await platform.records()
    assert (record.operation, record.model) == ("createChatCompletion", "gpt-4")


async def test_a_chat_is_streamed(azure: AsyncAzureOpenAI) -> None:
    stream = await azure.chat.completions.create(model="echo", messages=SAID, stream=True)

    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "one two three"


async def test_embeddings_and_older_completions_are_answered(azure: AsyncAzureOpenAI) -> None:
    embedded = await azure.embeddings.create(model="echo-embedding", input="a tree")
    completed = await azure.completions.create(model="echo", prompt="one two")

    assert len(embedded.data) == 1
    assert completed.choices[0].text == "one two"


async def test_what_has_no_deployment_is_asked_for_beside_them(azure: AsyncAzureOpenAI) -> None:
    assert "echo" in [model.id async for model in azure.models.list()]
    assert (await azure.models.retrieve("echo")).id == "echo"


async def test_a_client_of_one_deployment_has_it_as_its_model(platform: Running) -> None:
    settled = AsyncAzureOpenAI(
        azure_endpoint=platform.root, azure_deployment="gpt-35-turbo", api_key=platform.key, api_version=VERSION
    )
    async with settled as sdk:
        answer = await sdk.chat.completions.create(model="whatever", messages=SAID)
        listed = [model.id async for model in sdk.models.list()]

    assert answer.model == "gpt-35-turbo"
    assert "gpt-35-turbo" in listed


async def test_the_newer_form_of_the_path_takes_the_plain_client(platform: Running) -> None:
    url = f"{platform.root}/openai/v1"
    async with AsyncOpenAI(base_url=url, api_key=platform.key, default_query={"api-version": "preview"}) as sdk:
        answer = await sdk.chat.completions.create(model="echo", messages=SAID)

    assert answer.choices[0].message.content == "one two three"


async def test_refusals_are_those_of_the_operation(azure: AsyncAzureOpenAI, platform: Running) -> None:
    with pytest.raises(BadRequestError) as wrong:
        await azure.chat.completions.create(model="echo", messages=[])
    with pytest.raises(NotFoundError) as missing:
        await azure.models.retrieve("nothing/of that name")
    with pytest.raises(AuthenticationError) as unknown:
        await azure.with_options(api_key="sk-wrong").chat.completions.create(model="echo", messages=SAID)

    assert (wrong.value.param, missing.value.code, unknown.value.code) == (
        "messages",
        "model_not_found",
        "invalid_api_key",
    )
    assert await platform.records() == []
