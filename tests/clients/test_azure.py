"""Azure's client of the official Python SDK: its paths, its key's header, its version in the query."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from openai import AsyncAzureOpenAI, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError
from openai.types.chat import ChatCompletionUserMessageParam

from tests.clients.test_python_sdk_media import OLDER, picture, size, spoken
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


@OLDER
async def test_pictures_and_sounds_have_deployments_in_the_path_of_their_forms_too(
    azure: AsyncAzureOpenAI, platform: Running
) -> None:
    tree = await picture(azure, "a tree")
    edited = await azure.images.edit(model="echo-image", image=tree, prompt="with snow", size="64x64")
    said = await spoken(azure, "one two three")
    heard = await azure.audio.transcriptions.create(model="echo-transcribe", file=said)
    translated = await azure.audio.translations.create(model="echo-transcribe", file=said)

    assert [size(each.b64_json) for each in edited.data or ()] == [(64, 64)]
    assert heard.text == translated.text == "one two three"
    told = [(record.operation, record.model) for record in await platform.records()]
    assert told == [
        ("createImage", "echo-image"),
        ("createImageEdit", "echo-image"),
        ("createSpeech", "echo-speech"),
        ("createTranscription", "echo-transcribe"),
        ("createTranslation", "echo-transcribe"),
    ]


async def test_of_a_form_the_deployment_is_the_model_whatever_its_field_says(platform: Running) -> None:
    url = f"{platform.root}/openai/deployments/echo-transcribe/audio/transcriptions"
    async with AsyncOpenAI(base_url=platform.base_url, api_key=platform.key) as sdk:
        file = await spoken(sdk, "one two three")
    async with httpx.AsyncClient(headers={"api-key": platform.key}, params={"api-version": VERSION}) as client:
        for fields in ({}, {"model": "another"}):
            answer = await client.post(url, files={"file": file}, data=fields)
            assert answer.json()["text"] == "one two three"

    assert [record.model for record in await platform.records()][1:] == ["echo-transcribe"] * 2
