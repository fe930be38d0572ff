"""Which limits a request is held to, and what its client is told."""

from collections.abc import AsyncIterator

import pytest

from llm_backend.domain.allowances import NONE, Allowance
from llm_backend.domain.limits import Asked, Limits
from llm_backend.domain.rate_headers import duration
from llm_backend.domain.readiness import Readiness
from llm_backend.edge.problems import render
from llm_backend.errors import LimitsAway, RateLimited
from llm_backend.metrics import Metrics
from llm_backend.storage.buckets import BucketsHere
from llm_backend.storage.database import Database
from llm_backend.storage.sharing_buckets import make_buckets
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from tests.clocks import SetClock
from tests.databases import ON_SQLITE


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def limits(clock: SetClock) -> Limits:
    return Limits(BucketsHere(clock.monotonic), Metrics())


def asked(
    *,
    tokens: int = 10,
    key_id: str | None = "k",
    of_key: Allowance = NONE,
    of_account: Allowance = NONE,
    of_model: Allowance = NONE,
) -> Asked:
    return Asked(7, key_id, "gpt:4o", tokens, of_key, of_account, of_model)


async def refusal(limits: Limits, request: Asked) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await limits.admit(request)
    return caught.value


async def test_where_nothing_is_limited_everything_passes_without_a_word(limits: Limits) -> None:
    permit = await limits.admit(asked())

    await permit.settle(5)

    assert permit.headers == {}


async def test_the_headers_tell_of_the_bucket_that_has_least_left(limits: Limits) -> None:
    permit = await limits.admit(
        asked(
            of_key=Allowance(requests_per_minute=60, tokens_per_minute=1000),
            of_account=Allowance(requests_per_minute=10),
            of_model=Allowance(tokens_per_minute=600, concurrent_requests=1),
        )
    )

    assert permit.headers == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "590",
        "x-ratelimit-reset-tokens": "1s",
    }


async def test_too_many_requests_are_told_when_to_come_again(limits: Limits, clock: SetClock) -> None:
    of_account = Allowance(requests_per_minute=4)
    for _ in range(4):
        await limits.admit(asked(of_account=of_account))
    clock.advance(1)

    answer = render(await refusal(limits, asked(of_account=of_account)), "req-1")

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "14"
    assert answer.headers["x-ratelimit-limit-requests"] == "4"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.headers["x-ratelimit-reset-requests"] == "59s"
    assert "x-should-retry" not in answer.headers
    assert bytes(answer.body) == (
        b'{"error": {"message": "Rate limit reached for requests per minute of this account, 4: requested 1. '
        b'Please try again in 14s.", "type": "requests", "param": null, "code": "rate_limit_exceeded"}}'
    )
    clock.advance(14)
    await limits.admit(asked(of_account=of_account))


async def test_too_many_tokens_are_of_the_type_tokens(limits: Limits) -> None:
    of_key = Allowance(tokens_per_minute=60)
    await limits.admit(asked(tokens=60, of_key=of_key))

    error = await refusal(limits, asked(tokens=30, of_key=of_key))

    assert (error.type, error.code, error.retry_after_seconds) == ("tokens", "rate_limit_exceeded", 30)


@pytest.mark.parametrize(
    ("allowance", "kind"),
    [
        (Allowance(tokens_per_minute=9), "tokens"),
        (Allowance(tokens_per_minute=0), "tokens"),
        (Allowance(requests_per_minute=0), "requests"),
        (Allowance(concurrent_requests=0), "requests"),
    ],
)
async def test_what_never_fits_is_refused_for_good(limits: Limits, allowance: Allowance, kind: str) -> None:
    error = await refusal(limits, asked(tokens=10, of_model=allowance))

    assert (error.type, error.should_retry, error.retry_after_seconds) == (kind, False, None)


async def test_a_slot_is_free_when_its_request_ends(limits: Limits) -> None:
    of_key = Allowance(concurrent_requests=1)
    permit = await limits.admit(asked(of_key=of_key))
    error = await refusal(limits, asked(of_key=of_key))

    await permit.settle(0)

    assert (error.type, error.retry_after_seconds) == ("requests", 1)
    await limits.admit(asked(of_key=of_key))


async def test_tokens_that_were_not_used_are_there_again(limits: Limits) -> None:
    of_key = Allowance(tokens_per_minute=100)
    permit = await limits.admit(asked(tokens=100, of_key=of_key))

    await permit.settle(30)
    await permit.settle(0)

    assert (await limits.admit(asked(tokens=70, of_key=of_key))).headers["x-ratelimit-remaining-tokens"] == "0"


async def test_each_key_has_the_servers_limit_unless_it_has_its_own(clock: SetClock) -> None:
    limits = Limits(BucketsHere(clock.monotonic), Metrics(), Allowance(requests_per_minute=1))
    for key_id in ("a", "b", None):
        await limits.admit(asked(key_id=key_id))
        await refusal(limits, asked(key_id=key_id))

    own = Allowance(requests_per_minute=5)
    assert (await limits.admit(asked(key_id="c", of_key=own))).headers["x-ratelimit-remaining-requests"] == "4"


@pytest.fixture
async def away() -> AsyncIterator[Limits]:
    """Limits in a Redis that nobody reaches, without which nothing may pass."""
    opened = Limits(make_buckets("redis://127.0.0.1:1/0", 1, fails_closed=True), Metrics())
    yield opened
    await opened.close()


async def test_where_limits_may_not_fail_open_nothing_that_is_limited_passes(away: Limits) -> None:
    with pytest.raises(LimitsAway) as caught:
        await away.admit(asked(of_key=Allowance(requests_per_minute=1)))

    answer = render(caught.value, "req-1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await away.admit(asked())


@ON_SQLITE
async def test_readiness_and_the_metrics_tell_where_limits_are_kept(database: Database) -> None:
    metrics = Metrics()
    limits = Limits(make_buckets("redis://127.0.0.1:1/0", 1, fails_closed=False), metrics)
    upstream = Upstream("echo", EchoTransport(Echo()), timeouts=Timeouts(), circuit=Circuit())
    readiness = Readiness(database, Upstreams([upstream]), lambda: False, limits)
    before = await readiness.report()

    await limits.renew()

    after = await readiness.report()
    assert (before["limits"], after["limits"], after["status"]) == ("shared", "degraded", "ok")
    assert b"llm_backend_ratelimit_degraded 1.0" in metrics.text()
    await limits.close()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (7.66, "7.66s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_times_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
