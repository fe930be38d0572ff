"""The official Python SDK, newest 3.x: every refusal of this server is the right exception, and is asked for once."""

from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from tests.clients.test_python_sdk import says
from tests.faulty import closed_port
from tests.serving import SECRET_KEY, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_wrong_key_is_an_authentication_error_with_the_requests_id(platform: Running) -> None:
    async with AsyncOpenAI(base_url=platform.base_url, api_key="sk-lb-wrong") as sdk:
        with pytest.raises(openai.AuthenticationError) as raised:
            await sdk.chat.completions.create(model="echo", messages=says("Hi"))

    assert (raised.value.code, raised.value.type) == ("invalid_api_key", "invalid_request_error")
    assert raised.value.request_id
    assert raised.value.request_id == raised.value.response.headers["x-request-id"]
    assert await platform.records() == []


WRONG_BODIES: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": "Hi"}, "messages", "invalid_type"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"n": 100_000}, "n", "integer_above_max_value"),
    ({"extra_body": {"api_base": "http://127.0.0.1:1"}}, "api_base", "unknown_parameter"),
    ({"extra_body": {"extra_body": {"base_url": "http://127.0.0.1:1"}}}, "extra_body.base_url", "unknown_parameter"),
]


@pytest.mark.parametrize(("wrong", "param", "code"), WRONG_BODIES)
async def test_a_wrong_body_is_a_bad_request_that_names_the_field(
    client: AsyncOpenAI, platform: Running, wrong: dict[str, Any], param: str, code: str
) -> None:
    asked: dict[str, Any] = {"model": "echo", "messages": says("Hi")} | wrong
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as raised:
            await client.chat.completions.create(**asked, stream=stream)

        assert (raised.value.param, raised.value.code, raised.value.type) == (param, code, "invalid_request_error")
    assert await platform.records() == []


async def test_a_model_that_the_upstream_does_not_have_is_not_found(client: AsyncOpenAI, platform: Running) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model="gpt-9", messages=says("Hi"))
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("vendor/gpt-9")

    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    (record,) = await platform.records()
    assert (record.status, record.basis, record.upstream_status) == ("failed", "void", 404)


async def test_a_key_without_the_scope_is_denied(platform: Running) -> None:
    clock = SystemClock()
    keys = Keys(platform.database, await unlock(platform.database, SECRET_KEY, clock), clock)
    narrow = await keys.create(platform.account_id, scopes={"models"})
    async with AsyncOpenAI(base_url=platform.base_url, api_key=narrow.text) as sdk:
        models = await sdk.models.list()
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await sdk.chat.completions.create(model="echo", messages=says("Hi"))

    assert models.data
    assert raised.value.code == "insufficient_permissions"
    assert await platform.records() == []


async def test_a_body_of_more_than_thirty_two_megabytes_is_too_large(client: AsyncOpenAI, platform: Running) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        await client.chat.completions.create(model="echo", messages=says("x" * (32 * 1024 * 1024)))

    assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")
    assert await platform.records() == []


async def test_what_is_not_served_is_said_once_and_not_tried_again(platform: Running) -> None:
    sent: list[str] = []

    async def note(request: httpx2.Request) -> None:
        sent.append(request.url.path)

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [note]})
    async with AsyncOpenAI(base_url=platform.base_url, api_key=platform.key, http_client=http) as sdk:
        with pytest.raises(openai.InternalServerError) as raised:
            await sdk.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id="file-1")

    assert (raised.value.status_code, raised.value.code) == (501, "not_served")
    assert "one by one" in raised.value.message
    assert sent == ["/v1/batches"]


async def test_an_unknown_path_is_not_found_in_openais_envelope(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.get("/v1/models", cast_to=object)

    assert raised.value.code == "not_found"
    assert "/v1" in raised.value.message


async def test_a_closed_port_is_a_connection_error() -> None:
    with closed_port() as port:
        async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0) as sdk:
            with pytest.raises(openai.APIConnectionError):
                await sdk.models.list()
