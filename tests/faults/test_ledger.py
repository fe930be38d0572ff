"""The upstream's own log against our records: whatever happened to whom, each attempt is recorded once."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest

from tests.databases import BOTH
from tests.faults.asking import HELLO, asked
from tests.faults.leaving import WAYS, Client
from tests.faults.stage import Stage
from tests.faulty import Cut, FaultyUpstream, Hang, Reset, Torn, chunk, completion, error, usage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database", BOTH, indirect=True, scope="module"),
]

STREAMED = HELLO | {"stream": True}
MANY = 100
UNAVAILABLE = 503


def tells(upstream: FaultyUpstream, random: Random) -> None:
    """Many answers, one in two of them with a fault."""
    ends = (Cut, Torn, Reset, Hang, error("Boom"), b"data: {\n\n")
    for _ in range(MANY):
        words = ["word "] * random.randint(1, 5)
        match random.randint(0, 5):
            case 0:
                upstream.answers(error("Boom"), status=random.choice((400, 401, 429, 500, 503)))
            case 1 | 2:
                upstream.streams(*words, random.choice(ends))
            case _:
                upstream.streams(*words, chunk(finish="stop"), usage(3, len(words)))
    upstream.streams("Hello", chunk(finish="stop"), usage(3, 1))


async def test_a_hundred_streams_with_faults_and_departures_are_recorded_attempt_by_attempt(stage: Stage) -> None:
    random = Random(7)  # noqa: S311 (who does what)
    tells(stage.upstream, random)

    async def comes(number: int) -> bool:
        """Whether the circuit, which so many faults may open, turned it away."""
        if number % 3:
            return (await asked(stage.running, stream=number % 3 == 1)).status == UNAVAILABLE
        client = await Client.asking(stage.running, STREAMED)
        head = await client.head()
        if b" 200 " in head:
            await client.events(1)
        WAYS[number % 2](client)
        return b" 503 " in head

    turned_away = sum(await asyncio.gather(*(comes(number) for number in range(MANY))))

    records = await stage.records()
    assert len(records) == len(stage.upstream.requests) >= MANY - turned_away
    assert len({record.request_id for record in records}) == MANY - turned_away > MANY // 2
    assert {record.status for record in records} == {"completed", "incomplete", "failed"}
    assert all(record.ended_at >= record.started_at for record in records)
    void = [record for record in records if record.basis == "void"]
    assert all(record.status == "failed" and not record.prompt_tokens for record in void)
    assert all(record.prompt_tokens > 0 for record in records if record.basis != "void")


async def test_an_upstream_that_fails_half_of_the_time_is_not_stormed(stage: Stage) -> None:
    # Row 29
    requests = 300
    for _ in range(requests // 2):
        stage.upstream.answers({}, status=500)
        stage.upstream.answers(completion("Hello"))
    url = f"{stage.running.base_url}/chat/completions"

    async def asks(client: aiohttp.ClientSession) -> tuple[int, str | None]:
        async with client.post(url, json=HELLO) as answer:
            await answer.read()
            return answer.status, answer.headers.get("retry-after")

    async with aiohttp.ClientSession(headers=stage.running.headers) as client:
        answers = [await asks(client) for _ in range(requests)]

    attempts = len(stage.upstream.requests)
    assert attempts <= 1.2 * requests
    assert len(await stage.records()) == attempts
    refused = [retry_after for status, retry_after in answers if status == 503]
    assert refused
    assert all(retry_after is not None and 1 <= int(retry_after) <= 60 for retry_after in refused)
    assert {status for status, _ in answers} <= {200, 502, 503}


async def test_a_circuit_that_stays_open_sends_nothing_and_records_nothing(stage: Stage) -> None:
    # Row 29
    stage.upstream.answers({}, status=500)
    while (await asked(stage.running)).error["code"] != "overloaded":
        pass
    attempts = len(stage.upstream.requests)

    whole, streamed = await asked(stage.running), await asked(stage.running, stream=True)

    for answer in (whole, streamed):
        assert (answer.status, answer.error["code"]) == (503, "overloaded")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert len(stage.upstream.requests) == attempts == len(await stage.records())


@pytest.fixture(autouse=True)
async def _nothing_runs_on(stage: Stage) -> AsyncIterator[None]:
    yield
    await stage.running.quiet()
    assert stage.running.services.exchanges.running == 0
