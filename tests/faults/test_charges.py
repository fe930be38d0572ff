"""Every operation, whole and streamed, in every ending: what is charged, against the upstream's own log."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from llm_backend.domain.estimates import Estimates
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.metering import Metering
from llm_backend.domain.work import Attempt
from llm_backend.errors import LLMBackendError
from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import budget_period
from llm_backend.storage.usage import UsageRecord
from tests.databases import BOTH
from tests.faults.charged import OPERATIONS, Operation, asks, on_its_way
from tests.faults.endings import BAD, CAP, ENDINGS, PROMPT, Charge, Ending, breaks, failed, within
from tests.faults.stage import Stage
from tests.faulty import Cut, FaultyUpstream, Hang
from tests.handlers.administering import administering
from tests.serving import Running, serving

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database", BOTH, indirect=True, scope="module"),
]

PATIENCE = "[timeouts]\nfirst_byte_seconds = 60\nstream_first_byte_seconds = 60\nidle_seconds = 60\n"
MODELS = '[chats]\nchat_model = "echo"\n[models.echo]\ninput_microusd_per_million = 2_000_000\n'
PRICE = "output_microusd_per_million = 3_000_000\n"
PLENTY = 10**9


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, FaultyUpstream]]:
    """A server whose account has plenty of both currencies; at the end its books are gone through."""
    folder = tmp_path_factory.mktemp("charges")
    async with FaultyUpstream() as upstream:
        toml, url = PATIENCE + MODELS + PRICE, upstream.base_url
        async with serving(module_database, folder, toml=toml, OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-up") as running:
            async with administering(running) as admin:
                limits = {"budget": PLENTY, "budget_microusd": PLENTY}
                await admin.ask("PUT", f"/accounts/{running.account_id}", limits)
            yield running, upstream
            async with running.database.reading() as session:
                assert await violations(session) == []


@pytest.fixture(autouse=True)
def counts_afresh(stage: Stage) -> None:
    """What earlier answers reported teaches nothing here, so that every estimate is known beforehand."""
    bench = stage.running.services.exchanges._bench
    stage.running.services.exchanges._bench = replace(bench, estimates=Estimates())


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_an_upstream_s_ending_is_charged_as_it_ought_to(
    stage: Stage, operation: Operation, ending: Ending
) -> None:
    ending.tells(stage.upstream, operation)

    answered = await asks(stage.running, operation, operation.capped(CAP))

    records = await stage.records()
    assert [charge_of(record) for record in records] == [ending.charge(operation)] * ending.attempts
    assert {record.usage_missing for record in records} == {ending.missing}
    assert (records[-1].error_code is None) == answered
    await agrees_with_the_upstream(stage, records)


@pytest.mark.parametrize(("said", "basis", "tokens"), [(1, "estimated", (PROMPT, 4)), (6, "reported", (7, 6))])
@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.streamed], ids=str)
async def test_a_usage_told_on_the_way_is_charged_where_it_covers_what_had_come(
    stage: Stage, operation: Operation, said: int, basis: str, tokens: tuple[int, int]
) -> None:
    # Rows 5, 18 and 23: the first of three words comes with it, and then the answer is cut.
    first = operation.word() | {"usage": operation.counted(7, said)}
    stage.upstream.streams(first, operation.word(), operation.word(), Cut)

    await asks(stage.running, operation, operation.capped(CAP))

    [record] = await stage.records()
    assert charge_of(record) == ("incomplete", basis, BAD, *tokens, False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_whoever_leaves_before_the_upstream_is_asked_pays_nothing(
    stage: Stage, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row 31
    has_begun, has_left = asyncio.Event(), asyncio.Event()
    begin, stop = Metering.begin, Exchange.stop

    async def begun(*args: Any) -> Attempt:
        attempt = await begin(*args)
        has_begun.set()
        await has_left.wait()
        return attempt

    def stopped(exchange: Exchange, reason: LLMBackendError) -> None:
        stop(exchange, reason)
        has_left.set()

    monkeypatch.setattr(Metering, "begin", begun)
    monkeypatch.setattr(Exchange, "stop", stopped)
    async with on_its_way(stage.running, operation) as asking:
        await has_begun.wait()

        asking.cancel()

        await has_left.wait()
    assert await stage.records() == []
    assert stage.upstream.requests == []
    await agrees_with_the_upstream(stage, [])


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_whoever_leaves_before_the_first_byte_pays_for_the_prompt(stage: Stage, operation: Operation) -> None:
    # Rows 24 and 32
    stage.upstream.hangs()
    async with on_its_way(stage.running, operation) as asking:
        received = await stage.upstream.received()

        asking.cancel()

        await received.gone.wait()
    records = await stage.records()
    left = Ending("left", breaks(), failed("client_disconnected"), failed("client_disconnected"))
    assert [charge_of(record) for record in records] == [left.charge(operation)]
    await agrees_with_the_upstream(stage, records)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_whoever_leaves_in_the_middle_pays_for_what_had_come(stage: Stage, operation: Operation) -> None:
    # Rows 24 and 33
    left = Ending("left", breaks(Hang), failed("client_disconnected"), within("client_disconnected"))
    left.tells(stage.upstream, operation)
    two_events = asyncio.Event()
    async with on_its_way(stage.running, operation, two_events) as asking:
        received = await stage.upstream.received()
        if operation.streamed:
            await two_events.wait()

        asking.cancel()

        await received.gone.wait()
    records = await stage.records()
    assert [charge_of(record) for record in records] == [left.charge(operation)]
    await agrees_with_the_upstream(stage, records)


async def test_an_upstream_that_never_answers_is_paid_for_the_prompt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row 2: all at once, for they have to be waited for
    asked = stage.running.services.upstreams.default
    monkeypatch.setattr(asked, "_timeouts", replace(asked._timeouts, first_byte=1.0, first_byte_streamed=1.0))
    stage.upstream.hangs()

    await asyncio.gather(*(asks(stage.running, operation, operation.body) for operation in OPERATIONS))

    records = await stage.records()
    silent = Ending("silent", breaks(), failed("upstream_timeout"), failed("upstream_timeout"))
    charged = {(record.operation, record.stream): charge_of(record) for record in records}
    assert charged == {(each.operation_id, each.streamed): silent.charge(each) for each in OPERATIONS}
    await sums_are_right(stage)


def charge_of(record: UsageRecord) -> Charge:
    assert record.cost_microusd == 2 * record.prompt_tokens + 3 * record.completion_tokens
    tokens = record.prompt_tokens, record.completion_tokens
    return record.status, record.basis, record.error_code, *tokens, record.overrun


async def agrees_with_the_upstream(stage: Stage, records: list[UsageRecord]) -> None:
    """I4: each call has one record, and each record a call."""
    assert len(records) == len(stage.upstream.requests)
    await sums_are_right(stage)


async def sums_are_right(stage: Stage) -> None:
    """The account's are those of all its records, and nothing is held back any more."""
    every = await stage.running.records()
    tokens, cost = sum(record.total_tokens for record in every), sum(record.cost_microusd for record in every)
    async with stage.running.database.reading() as session:
        period = (await session.execute(select(budget_period))).one()
    assert (period.used_tokens, period.used_microusd) == (tokens, cost)
    assert (period.reserved_tokens, period.reserved_microusd) == (0, 0)
