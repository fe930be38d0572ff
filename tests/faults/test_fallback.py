"""Rows 1, 10, 11 and 29 of the list of faults, where somebody else can answer: who does, and what it costs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from llm_backend.errors import Json, UpstreamBroken
from llm_backend.storage.invariants import violations
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.resting import Rests
from llm_backend.upstream.retries import Retries
from tests.faults.asking import Answered, asked, saying
from tests.faults.paying import Payer
from tests.faults.stage import Told, told
from tests.faults.upstream_faults import BROKEN, LIMITED, refuses
from tests.faulty import Cut, FaultyUpstream, Hang, chunk, closed_port, completion, error, event, head, usage
from tests.handlers.administering import Admin, administering
from tests.serving import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOML = """
[upstreams.first]
url = "{first}"
key = "sk-first-0123456789"
[upstreams.second]
url = "{second}"
key = "sk-second-0123456789"
output_cap_field = "max_completion_tokens"
[upstreams.gone]
url = "http://127.0.0.1:{gone}/v1"

[models.main]
upstream = "first"
upstream_model = "main-there"
fallback = ["other"]
input_microusd_per_million = 1_000_000
output_microusd_per_million = 1_000_000
[models.orphan]
upstream = "gone"
fallback = ["other"]
[models.careful]
upstream = "first"
fallback = ["other"]
fallback_on = ["context", "content"]
[models.other]
upstream = "second"
shutdown_date = 2031-05-01
successor = "main"
input_microusd_per_million = 5_000_000
output_microusd_per_million = 5_000_000
[models.pooled]
upstreams = [{{ name = "first", model = "a" }}, {{ name = "second", model = "b" }}]
[models.dear]
upstream = "first"
fallback = ["dearest"]
[models.dearest]
upstream = "second"
output_microusd_per_million = 1_000_000_000_000
[models.orphan-of-narrow]
upstream = "first"
fallback = ["narrow"]
[models.narrow]
upstream = "second"
requests_per_minute = 1
[models.mannered]
upstream = "first"
output_cap_field = "max_completion_tokens"
defaults = {{ temperature = 0.25, max_tokens = 7 }}
[models."wild-*"]
upstream = "second"

[timeouts]
first_byte_seconds = 1
stream_first_byte_seconds = 1
idle_seconds = 1
"""
EVENTS = "text/event-stream"
LOST: Told = ("failed", "void", "upstream_unreachable")
GOOD: Told = ("completed", "reported", None)


@dataclass(frozen=True)
class Two:
    """A server, and two upstreams that have not been told anything yet."""

    running: Running
    first: FaultyUpstream
    second: FaultyUpstream
    admin: Admin
    client: httpx.AsyncClient
    _before: int

    async def told(self) -> list[tuple[str, str, Told]]:
        """Of each record of this test: the model that was asked for, the upstream, and how it ended."""
        records = (await self.running.records())[self._before :]
        return [(record.model, record.upstream, told(record)) for record in records]

    async def payer(self, **terms: Json) -> Payer:
        name = f"payer {len(await self.admin.ask('GET', '/accounts'))}"
        return Payer(self.running, await self.admin.account(name, **terms), self.client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, FaultyUpstream, FaultyUpstream, Admin]]:
    folder = tmp_path_factory.mktemp("fallback")
    with closed_port() as gone:
        async with FaultyUpstream() as first, FaultyUpstream() as second:
            toml = TOML.format(first=first.base_url, second=second.base_url, gone=gone)
            async with serving(module_database, folder, toml=toml) as running, administering(running) as admin:
                yield running, first, second, admin
                await running.quiet()
                async with running.database.reading() as session:
                    assert await violations(session) == []


@pytest_asyncio.fixture(loop_scope="module")
async def two(served: tuple[Running, FaultyUpstream, FaultyUpstream, Admin]) -> AsyncIterator[Two]:
    running, first, second, admin = served
    for upstream in running.services.upstreams:
        upstream._circuit, upstream.rests = Circuit(), Rests()
        upstream.retries = Retries(lambda _least, _most: 0.0)
    first.forget()
    second.forget()
    second.answers(completion("Hello"))
    async with httpx.AsyncClient(base_url=running.root, timeout=60) as client:
        yield Two(running, first, second, admin, client, len(await running.records()))
    assert running.services.exchanges._bench.metering.unsettled == 0


async def to(two: Two, model: str, *, stream: bool = False, **options: Json) -> Answered:
    if stream:
        two.second.forget()
        two.second.streams("Hello", chunk(finish="stop"), usage(3, 2))
    return await asked(two.running, saying("Hello there") | {"model": model, **options}, stream=stream)


STANDS_IN: dict[str, tuple[str, Callable[[FaultyUpstream], None], list[Told]]] = {
    "1 nobody there": ("orphan", lambda _: None, [LOST]),
    "10 asks to wait": ("main", refuses(429, retry_after="30"), [LIMITED]),
    "11 server errors, after two retries": ("main", refuses(500), [BROKEN] * 3),
    "11 asks to come back later": ("main", refuses(503, retry_after="60"), [BROKEN]),
    "12 refuses our key": ("main", refuses(401), [("failed", "void", "upstream_auth_failed")]),
    "13 has no such model": ("main", refuses(404, "model_not_found"), [("failed", "void", "model_not_found")]),
    "the context is too short": (
        "careful",
        refuses(400, "context_length_exceeded"),
        [("failed", "void", "context_length_exceeded")],
    ),
    "the content is refused": (
        "careful",
        refuses(400, "content_policy_violation"),
        [("failed", "void", "content_policy_violation")],
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("model", "fails", "records"), STANDS_IN.values(), ids=STANDS_IN)
async def test_another_model_stands_in_and_every_attempt_is_recorded(
    two: Two,
    model: str,
    fails: Callable[[FaultyUpstream], None],
    records: list[Told],
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    fails(two.first)

    answer = await to(two, model, stream=stream)

    where = "gone" if model == "orphan" else "first"
    assert await two.told() == [*((model, where, record) for record in records), (model, "second", GOOD)]
    assert (answer.status, answer.said) == (200, "Hello")
    named = [each["model"] for each in answer.events if each != "[DONE]"] or [
        httpx.Response(200, content=answer.body).json()["model"]
    ]
    assert set(named) == {model}
    assert two.second.requests[0].json["model"] == "other"
    assert answer.headers["x-llm-backend-model"] == "other"
    assert answer.headers["x-llm-backend-upstream"] == "second"


OWN: dict[str, tuple[str, Callable[[FaultyUpstream], None], int]] = {
    "2 silence, which may be work": ("main", lambda up: up.hangs(), 504),
    "3 a reset, which may be work": ("main", lambda up: up.resets_after(0), 502),
    "13 what is wrong with the request": ("careful", refuses(400, "invalid_value"), 400),
    "the context, where nobody asked for that": ("main", refuses(400, "context_length_exceeded"), 400),
}


@pytest.mark.parametrize(("model", "fails", "status"), OWN.values(), ids=OWN)
async def test_nobody_stands_in_where_it_could_cost_twice_or_would_not_help(
    two: Two,
    model: str,
    fails: Callable[[FaultyUpstream], None],
    status: int,
) -> None:
    fails(two.first)

    assert (await to(two, model)).status == status
    assert two.second.requests == []


BEFORE_ITS_FIRST_EVENT = {
    "cut": (head(200, content_type=EVENTS), Cut),
    "over": (head(200, content_type=EVENTS),),
    "an error": (head(200, content_type=EVENTS), event(error("Overloaded.", "server_error"))),
}


@pytest.mark.parametrize("items", BEFORE_ITS_FIRST_EVENT.values(), ids=BEFORE_ITS_FIRST_EVENT)
async def test_a_stream_that_fails_before_its_first_event_is_answered_by_another(two: Two, items: tuple[bytes]) -> None:
    two.first.raw(*items)

    answer = await to(two, "main", stream=True)

    assert (answer.status, answer.said, answer.is_done) == (200, "Hello", True)
    failed, answered = await two.told()
    assert failed[1:] == ("first", ("failed", "void", failed[2][2]))
    assert answered == ("main", "second", GOOD)
    assert {each["model"] for each in answer.events if each != "[DONE]"} == {"main"}


async def test_a_stream_that_fails_after_its_first_event_is_nobody_elses(two: Two) -> None:
    two.first.streams("Hel", Cut)

    answer = await to(two, "main", stream=True)

    assert (answer.said, answer.is_done) == ("Hel", False)
    assert answer.error["code"] == "upstream_invalid_response"
    assert two.second.requests == []


async def test_who_leaves_while_the_second_is_asked_is_charged_for_that_alone(two: Two) -> None:
    two.first.raw(head(200, content_type=EVENTS), Cut)
    two.second.forget()
    two.second.streams(Hang)
    body = saying("Hello there") | {"model": "main", "stream": True}
    asking = asyncio.create_task(two.client.post("/v1/chat/completions", json=body, headers=two.running.headers))
    await two.second.received()
    asking.cancel()

    await two.running.quiet()
    assert [(upstream, record[:2]) for _, upstream, record in await two.told()] == [
        ("first", ("failed", "void")),
        ("second", ("failed", "estimated")),
    ]


async def test_the_attempt_that_answers_is_reserved_and_charged_at_its_own_models_price(two: Two) -> None:
    two.first.raw(head(200, content_type=EVENTS), Cut)
    two.second.forget()
    two.second.streams("Hello", chunk(finish="stop"), usage(3, 2))
    payer = await two.payer(budget_microusd=100_000)

    answer = await payer.asks(model="main", stream=True, max_tokens=10)

    records = await payer.records()
    assert answer.status_code == 200
    assert [record.cost_microusd for record in records] == [0, 25]
    assert await payer.microusd() == (25, 0)


async def test_a_model_that_is_too_dear_does_not_stand_in(two: Two) -> None:
    two.first.answers({}, status=503, headers={"retry-after": "60"})
    payer = await two.payer(budget_microusd=100_000)

    answer = await payer.asks(model="dear", max_tokens=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert two.second.requests == []
    assert await payer.microusd() == (0, 0)


async def test_a_key_that_may_not_name_a_model_is_not_answered_by_it(two: Two) -> None:
    two.first.answers({}, status=401)
    payer = await two.payer()
    made = await two.admin.ask(
        "POST", f"/accounts/{payer.account['id']}/keys", {"name": "narrow", "models": ["main"]}, 201
    )

    answer = await payer.asks(key=made["api_key"], model="main")

    assert answer.status_code == 502
    assert two.second.requests == []


async def test_who_asked_for_a_pause_is_left_out_meanwhile(two: Two) -> None:
    two.first.answers({}, status=429, headers={"retry-after": "30"})

    answers = [await to(two, "main") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert (len(two.first.requests), len(two.second.requests)) == (1, 3)


async def test_where_nobody_can_answer_the_last_error_is_told(two: Two) -> None:
    two.first.answers({}, status=429, headers={"retry-after": "30"})
    two.second.forget()
    two.second.answers(error("Wait.", "requests"), status=429, headers={"retry-after": "7"})

    first, again = await to(two, "main"), await to(two, "main")

    assert [(answer.status, answer.headers["retry-after"]) for answer in (first, again)] == [(429, "7"), (429, "7")]


async def test_an_open_circuit_is_no_attempt_and_goes_to_the_next(two: Two) -> None:
    two.first.answers({}, status=500)
    for _ in range(20):
        two.running.services.upstreams.get("first")._circuit.admit().failed(UpstreamBroken("500"))

    answer = await to(two, "main")

    assert (answer.status, two.first.requests) == (200, [])
    assert await two.told() == [("main", "second", GOOD)]
    ready = (await two.client.get("/readyz")).json()
    assert {each["name"]: each["circuit"] for each in ready["upstreams"]} == {
        "first": "open",
        "second": "closed",
        "gone": "closed",
    }


async def test_one_conversation_stays_with_one_upstream_as_long_as_that_answers(two: Two) -> None:
    two.first.answers(completion("Hello"))

    for _ in range(4):
        await to(two, "pooled", prompt_cache_key="a conversation")
    alone = sorted((len(two.first.requests), len(two.second.requests)))
    for number in range(12):
        await to(two, "pooled", prompt_cache_key=f"conversation {number}")

    assert alone == [0, 4]
    assert {request.json["model"] for request in two.first.requests} == {"a"}
    assert {request.json["model"] for request in two.second.requests} == {"b"}


async def test_one_of_a_pool_that_fails_is_answered_for_by_the_other_at_once(two: Two) -> None:
    two.first.answers({}, status=500)

    answers = [await to(two, "pooled", prompt_cache_key=f"conversation {number}") for number in range(8)]

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-llm-backend-upstream"] for answer in answers} == {"second"}
    assert len(two.second.requests) == 8


async def test_a_models_end_is_announced_on_its_answers_and_in_the_list(two: Two) -> None:
    answer = await to(two, "other")
    shown = (await two.client.get("/v1/models/other", headers=two.running.headers)).json()

    assert answer.headers["deprecation"] == "@1935360000"
    assert answer.headers["sunset"] == "Thu, 01 May 2031 00:00:00 GMT"
    assert answer.headers["link"] == '</v1/models/main>; rel="successor-version"'
    assert (shown["deprecated"], shown["shutdown_date"], shown["successor"]) == (True, "2031-05-01", "main")


async def test_a_models_defaults_stand_in_for_what_the_client_leaves_out(two: Two) -> None:
    two.first.answers(completion("Hello"))
    payer = await two.payer(budget=1000)

    await to(two, "mannered")
    await to(two, "mannered", temperature=0.5, max_completion_tokens=3)
    await payer.asks(model="mannered")

    plain, named, bounded = [request.json for request in two.first.requests]
    assert (plain["temperature"], plain["max_tokens"]) == (0.25, 7)
    assert (named["temperature"], named["max_completion_tokens"], "max_tokens" in named) == (0.5, 3, False)
    assert (bounded["max_completion_tokens"], "max_tokens" in bounded) == (7, False)


async def test_a_wildcards_models_go_to_its_upstream_under_their_own_names(two: Two) -> None:
    answer = await to(two, "wild-and-new")

    assert answer.headers["x-llm-backend-model"] == "wild-and-new"
    assert [request.json["model"] for request in two.second.requests] == ["wild-and-new"]


async def test_what_another_answered_is_told_again_under_the_same_idempotency_key(two: Two) -> None:
    two.first.raw(head(200, content_type=EVENTS), Cut)
    two.second.forget()
    two.second.streams("Hello", chunk(finish="stop"), usage(3, 2))
    body = saying("Hello there") | {"model": "main"}
    key = {"idempotency-key": "who stands in"}

    first = await asked(two.running, body, stream=True, **key)
    await two.running.quiet()
    again = await asked(two.running, body, stream=True, **key)

    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.body) == (200, first.body)
    assert (len(two.first.requests), len(two.second.requests)) == (1, 1)


async def test_a_model_with_limits_of_its_own_stands_in_within_them(two: Two) -> None:
    two.first.answers({}, status=401)

    answers = [await to(two, "orphan-of-narrow") for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 502]
    assert answers[1].error["code"] == "upstream_auth_failed"
    assert len(two.second.requests) == 1
