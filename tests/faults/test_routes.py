"""Whom a request goes to where several can answer, and by whose terms."""

import pytest

from llm_backend.errors import UpstreamBroken
from tests.faults.asking import asked, saying
from tests.faults.two import EVENTS, GOOD, Two, served, to, two
from tests.faulty import Cut, chunk, completion, error, head, usage

__all__ = ["served", "two"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
