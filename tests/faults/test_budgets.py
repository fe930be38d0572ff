"""Budgets and limits as clients meet them: what is refused, what is sent instead, what answers say."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import httpx
import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from llm_backend.errors import Json
from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import budget_period
from tests.databases import BOTH
from tests.faults.asking import events_in
from tests.faults.charged import OPERATIONS, TEXT
from tests.faults.paying import BOUND, USED, Payer, Pays, budget_headers, sent
from tests.faulty import FaultyUpstream, Hang, chunk, completion, head
from tests.faulty import usage as reports
from tests.handlers.administering import Admin, administering
from tests.serving import Running, serving

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database", BOTH, indirect=True, scope="module"),
]

TOML = """
[timeouts]
first_byte_seconds = 60
stream_first_byte_seconds = 60
idle_seconds = 60
[models.echo]
input_microusd_per_million = 2_000_000
output_microusd_per_million = 3_000_000
[models.other]
"""
UPSTREAM_LIMITS = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, FaultyUpstream, Admin]]:
    """One server for all; at the end its books are gone through."""
    folder = tmp_path_factory.mktemp("budgets")
    async with FaultyUpstream() as upstream:
        url = upstream.base_url
        async with (
            serving(module_database, folder, toml=TOML, OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-up") as running,
            administering(running) as admin,
        ):
            yield running, upstream, admin
            await running.quiet()
            async with running.database.reading() as session:
                assert await violations(session) == []


@pytest.fixture
def admin(served: tuple[Running, FaultyUpstream, Admin]) -> Admin:
    return served[2]


@pytest.fixture
def upstream(served: tuple[Running, FaultyUpstream, Admin]) -> FaultyUpstream:
    """It answers whatever comes, until it is told otherwise."""
    upstream = served[1]
    upstream.forget()
    upstream.answers(completion("Hello"), headers=dict.fromkeys(UPSTREAM_LIMITS, "9999"))
    return upstream


@pytest_asyncio.fixture(loop_scope="module")
async def pays(served: tuple[Running, FaultyUpstream, Admin], upstream: FaultyUpstream) -> AsyncIterator[Pays]:
    running, _, admin = served
    numbers = count(len(await admin.ask("GET", "/accounts")))
    async with httpx.AsyncClient(base_url=running.root, timeout=60) as client:

        async def made(**terms: Json) -> Payer:
            return Payer(running, await admin.account(f"alice {next(numbers)}", **terms), client)

        yield made


async def test_an_exhausted_budget_refuses_for_good_and_nothing_is_sent(pays: Pays, upstream: FaultyUpstream) -> None:
    payer = await pays(budget=10)
    headers = {"authorization": f"Bearer {payer.account['api_key']}"}
    operations = [each for each in OPERATIONS if not each.is_asked]

    answers = [await payer.client.post(each.path, json=each.body, headers=headers) for each in operations]

    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
    assert upstream.requests == []
    assert await payer.records() == []
    assert await payer.sums() == [(0, 0)]


async def test_a_request_that_only_running_ones_keep_out_may_come_again_and_fits_then(
    pays: Pays, upstream: FaultyUpstream
) -> None:
    # Row 60
    payer, goes_on = await pays(budget=100), asyncio.Event()
    body = orjson.dumps(completion("Hello"))
    upstream.forget()
    upstream.raw(head(200, content_type="application/json", content_length=str(len(body))), goes_on, body)
    upstream.answers(completion("Hello"))
    running = asyncio.create_task(payer.asks(max_tokens=50))
    await upstream.received()

    waits = await payer.asks(max_tokens=50)
    goes_on.set()
    first = await running
    again = await payer.asks(max_tokens=50)
    hopeless = await payer.asks(max_tokens=100)

    assert waits.json()["error"]["code"] == hopeless.json()["error"]["code"] == "insufficient_quota"
    assert (waits.status_code, waits.headers["x-should-retry"], waits.headers["retry-after"]) == (429, "true", "1")
    assert (hopeless.status_code, hopeless.headers["x-should-retry"]) == (429, "false")
    assert (first.status_code, again.status_code) == (200, 200)
    assert await payer.sums() == [(2 * USED, 0)]
    assert len(upstream.requests) == 2


async def test_an_answer_that_nobody_bounds_is_bounded_by_what_is_left_of_a_budget(
    pays: Pays, upstream: FaultyUpstream
) -> None:
    bounded, free = await pays(budget=1000), await pays()
    text = {"model": "echo", "prompt": TEXT}

    await bounded.asks()
    chat = sent(upstream)
    headers = {"authorization": f"Bearer {bounded.account['api_key']}"}
    await bounded.client.post("/v1/completions", json=text, headers=headers)
    continued = sent(upstream)
    await free.asks()
    unbounded = sent(upstream)
    await free.asks(max_tokens=7, max_completion_tokens=9)

    assert chat == {"max_tokens": 1000 - BOUND}
    # As long as it would be without: that is what OpenAI gives where nothing is said.
    assert continued == {"max_tokens": 16}
    assert unbounded == {}
    assert sent(upstream) == {"max_tokens": 7, "max_completion_tokens": 9}


async def test_a_limit_that_the_client_names_is_kept_unless_its_account_fits(
    pays: Pays, upstream: FaultyUpstream
) -> None:
    strict, fitting = await pays(budget=100), await pays(budget=100, fits=True)

    refused = await strict.asks(max_tokens=500)
    kept = await strict.asks(max_tokens=7, max_completion_tokens=9)
    largest = sent(upstream)
    fitted = await fitting.asks(max_tokens=500)

    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    assert (kept.status_code, largest) == (200, {"max_tokens": 9})
    assert (fitted.status_code, sent(upstream)) == (200, {"max_tokens": 100 - BOUND})
    assert len(upstream.requests) == 2


async def test_answers_say_how_the_budget_stands_from_their_first_byte(pays: Pays, upstream: FaultyUpstream) -> None:
    payer, free = await pays(budget=100, budget_microusd=1000), await pays()
    upstream.answers(completion("Hello", prompt=50, tokens=20))
    goes_on = asyncio.Event()
    upstream.streams("Hello", goes_on, chunk(finish="stop"), reports(3, 2))

    whole = await payer.asks()
    unbounded = await free.asks()
    streamed = await payer.begins(stream=True, max_tokens=10)
    told = budget_headers(streamed)
    goes_on.set()
    await streamed.aread()

    assert budget_headers(unbounded) == {}
    assert budget_headers(whole) == {
        "limit-tokens": "100", "used-tokens": "5", "remaining-tokens": "95",
        "limit-microusd": "1000", "used-microusd": "12", "remaining-microusd": "988",
    }  # fmt: skip
    # Less what it holds back itself.
    assert (told["used-tokens"], told["remaining-tokens"]) == ("5", str(95 - BOUND - 10))
    assert "warning" not in told


async def test_a_warning_is_told_from_the_soft_limit_on(pays: Pays, upstream: FaultyUpstream) -> None:
    tokens, both = await pays(budget=1000, budget_microusd=10_000), await pays(budget=1000, budget_microusd=2000)
    upstream.forget()
    upstream.answers(completion("Hello", prompt=700, tokens=49))
    upstream.answers(completion("Hello", prompt=1, tokens=0))
    upstream.answers(completion("Hello", prompt=700, tokens=50))

    below, at, of_both = [await payer.asks(max_tokens=9) for payer in (tokens, tokens, both)]

    assert "warning" not in budget_headers(below)
    assert budget_headers(at)["warning"] == "tokens"
    assert budget_headers(of_both)["warning"] == "tokens, microusd"


async def test_money_bounds_a_request_alone_and_together_with_tokens(pays: Pays, upstream: FaultyUpstream) -> None:
    money, both, poor = (
        await pays(budget_microusd=100), await pays(budget=40, budget_microusd=1000), await pays(budget_microusd=61),
    )  # fmt: skip

    paid = await money.asks()
    # 62 for the prompt, 3 for each token of the answer.
    by_money = sent(upstream)
    await both.asks()
    by_tokens = sent(upstream)
    refused = await poor.asks()

    assert by_money == {"max_tokens": 12}
    assert by_tokens == {"max_tokens": 40 - BOUND}
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert budget_headers(paid) == {"limit-microusd": "100", "used-microusd": "12", "remaining-microusd": "88"}
    assert [record.cost_microusd for record in await money.records()] == [12]


async def test_a_key_and_a_model_have_ceilings_of_their_own(pays: Pays, upstream: FaultyUpstream, admin: Admin) -> None:
    payer = await pays()
    path = f"/accounts/{payer.account['id']}"
    other = await admin.ask("POST", f"{path}/keys", {}, 201)
    await admin.ask("PUT", f"{path}/budgets/key:{payer.key_id}", {"budget": 45})
    await admin.ask("PUT", f"{path}/budgets/model:echo", {"budget": 60})

    await payer.asks()
    by_key = sent(upstream)
    await payer.asks(key=other["api_key"])
    by_model = sent(upstream)
    of_key = await payer.asks(max_tokens=10)
    free = await payer.asks(key=other["api_key"], model="other")

    assert by_key == {"max_tokens": 45 - BOUND}
    assert by_model == {"max_tokens": 60 - USED - BOUND}
    assert (of_key.status_code, of_key.headers["x-should-retry"]) == (429, "false")
    assert (free.status_code, sent(upstream)) == (200, {})
    # All of it, of the key, of the model.
    assert await payer.sums() == [(3 * USED, 0), (USED, 0), (2 * USED, 0)]


async def test_a_stream_ends_when_its_key_is_taken_away_and_is_charged_as_far_as_it_came(
    pays: Pays, upstream: FaultyUpstream, admin: Admin
) -> None:
    payers = revoked, closed = [await pays(budget=1000) for _ in range(2)]
    upstream.forget()
    upstream.streams("word ", "word ", Hang)
    answers = [await payer.begins(stream=True) for payer in payers]

    await admin.ask("DELETE", f"/accounts/{revoked.account['id']}/keys/{revoked.key_id}")
    await admin.ask("DELETE", f"/accounts/{closed.account['id']}")

    bodies = [await answer.aread() for answer in answers]
    await asyncio.gather(*(request.gone.wait() for request in upstream.requests))
    assert [events_in(body)[-1]["error"]["code"] for body in bodies] == ["key_revoked"] * 2
    for payer in payers:
        [record] = await payer.records()
        assert (record.status, record.basis, record.error_code) == ("incomplete", "estimated", "key_revoked")
        assert (record.prompt_tokens > 0, record.completion_tokens > 0) == (True, True)
        assert await payer.sums() == [(record.total_tokens, 0)]
        assert (await payer.asks()).status_code == 401


async def test_a_budget_that_renews_begins_anew(pays: Pays) -> None:
    payer = await pays(budget=BOUND + 5, renewal="week")
    first, spent = await payer.asks(max_tokens=5), await payer.asks(max_tokens=5)
    async with payer.running.database.begin() as session:
        own = budget_period.c.account_id == payer.account["id"]
        (period,) = await session.execute(select(budget_period).where(own))
        week = timedelta(weeks=1)
        bounds = {"starts_at": period.starts_at - week, "ends_at": period.ends_at - week}
        await session.execute(update(budget_period).where(own).values(**bounds))

    anew = await payer.asks(max_tokens=5)

    assert (first.status_code, spent.status_code, anew.status_code) == (200, 429, 200)
    assert budget_headers(anew)["used-tokens"] == str(USED)
    assert await payer.sums() == [(USED, 0), (USED, 0)]


async def test_fifty_at_once_come_to_the_exact_sum(pays: Pays, upstream: FaultyUpstream) -> None:
    payer = await pays(budget=50 * (BOUND + 5), budget_microusd=10**6)

    answers = await asyncio.gather(*(payer.asks(max_tokens=5) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await payer.records()) == len(upstream.requests) == 50
    assert await payer.sums() == [(50 * USED, 0)]
    # However they were committed, each saw its own charge.
    assert max(int(answer.headers["x-budget-used-tokens"]) for answer in answers) == 50 * USED


async def test_a_rate_limit_is_told_on_every_answer_in_place_of_the_upstream_s(
    pays: Pays, upstream: FaultyUpstream
) -> None:
    limited, free = await pays(requests_per_minute=1, budget=1000), await pays()

    first, second, other = await limited.asks(), await limited.asks(), await free.asks()

    assert (first.status_code, second.status_code) == (200, 429)
    for answer in (first, second):
        limits = [answer.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")]
        assert limits == ["1", "0"]
    error = second.json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert 0 < int(second.headers["retry-after"]) <= 60
    # Where there are limits of our own, nothing is said of the upstream's.
    assert "x-ratelimit-limit-tokens" not in first.headers
    assert [other.headers[name] for name in UPSTREAM_LIMITS] == ["9999"] * 2
    assert len(upstream.requests) == 2
    assert await limited.sums() == [(USED, 0)]


async def test_a_key_asks_no_model_that_it_may_not(pays: Pays, upstream: FaultyUpstream, admin: Admin) -> None:
    payer = await pays()
    made = await admin.ask("POST", f"/accounts/{payer.account['id']}/keys", {"models": ["other"]}, 201)
    headers = {"authorization": f"Bearer {made['api_key']}"}
    operations = [each for each in OPERATIONS if not each.is_asked]

    refused = [await payer.client.post(each.path, json=each.body, headers=headers) for each in operations]
    allowed = await payer.asks(key=made["api_key"], model="other")

    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in refused] == [
        (403, "model_not_allowed")
    ] * len(operations)
    assert (allowed.status_code, len(upstream.requests)) == (200, 1)
