"""The same guard over another transport: echo, in this process."""

import json
from collections.abc import AsyncIterator

import pytest

from llm_backend.errors import UpstreamBroken, UpstreamInvalid, UpstreamRejected, UpstreamTimedOut, UpstreamUnreachable
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from llm_backend.upstream.wire import Outbound


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    timeouts = Timeouts(first_byte=0.05, first_byte_streamed=0.05, idle=0.05)
    upstream = Upstream("echo", EchoTransport(Echo()), timeouts=timeouts, circuit=Circuit())
    yield upstream
    await upstream.close()


def said(text: str, *, stream: bool = False, model: str = "echo") -> Outbound:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    return Outbound("POST", "/chat/completions", json.dumps(body).encode(), stream=stream)


async def test_echo_answers_through_the_guard(upstream: Upstream) -> None:
    reply = await upstream.open(said("Hello there"))
    answer = json.loads(await reply.read())
    await reply.close()

    assert answer["choices"][0]["message"]["content"] == "Hello there"


async def test_echo_streams_through_the_guard(upstream: Upstream) -> None:
    reply = await upstream.open(said("Hello there", stream=True))
    body = b"".join([chunk async for chunk in reply.chunks()])
    await reply.close()

    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("400", UpstreamRejected),
        ("429:retry-after=3", UpstreamRejected),
        ("500", UpstreamBroken),
        ("hang-headers", UpstreamTimedOut),
        ("refused", UpstreamUnreachable),
        ("reset-headers", UpstreamUnreachable),
        ("redirect", UpstreamInvalid),
        ("gzip-bomb", UpstreamInvalid),
        ("html", UpstreamInvalid),
    ],
)
async def test_a_fault_of_echo_is_told_as_one_of_http(upstream: Upstream, fault: str, kind: type) -> None:
    with pytest.raises(kind):
        await upstream.open(said("x", model=f"echo-fault-{fault}"))


@pytest.mark.parametrize(("fault", "kind"), [("hang-mid-stream", UpstreamTimedOut), ("reset", UpstreamUnreachable)])
async def test_a_stream_of_echo_that_breaks_off_says_how(upstream: Upstream, fault: str, kind: type) -> None:
    reply = await upstream.open(said("one two three four", stream=True, model=f"echo-fault-{fault}"))
    with pytest.raises(kind):
        await reply.read()
    await reply.close()


async def test_an_endless_answer_of_echo_is_refused(upstream: Upstream) -> None:
    reply = await upstream.open(said("x", model="echo-fault-huge-body"))
    with pytest.raises(UpstreamInvalid):
        await reply.read()
    await reply.close()


async def test_without_a_key_echo_stands_in_for_chatbot_uis_models(upstream: Upstream) -> None:
    catalogue = Catalogue(Upstreams([upstream]))
    route = await catalogue.route("gpt-4")
    listed = [model["id"] for model in await catalogue.list()]
    await catalogue.close()

    assert route.upstream_model == "echo"
    assert {"echo", "gpt-3.5-turbo", "gpt-35-turbo", "gpt-4", "gpt-4-32k"} <= set(listed)
