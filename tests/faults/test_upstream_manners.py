"""What a deployment says of its upstream and its budgets: the field for limits, drained answers, who is told."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select

from llm_backend.domain.exchange import Exchange
from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import webhook_event
from tests.faults.charged import OPERATIONS, Operation, asks, on_its_way
from tests.faults.stage import Stage, told
from tests.faulty import FaultyUpstream, head
from tests.handlers.administering import administering
from tests.serving import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOML = """
[upstreams.careful]
url = "{upstream}"
key = "sk-upstream"
output_cap_field = "max_completion_tokens"
on_disconnect = "drain"
[chats]
chat_model = "echo"
[budgets]
webhook_url = "{webhook}/hook"
webhook_secret = "whsec_c2lnbmVkIGJ5IHRoZSBvcGVyYXRvcidzIHNlY3JldA=="
"""
BUDGET = 100_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def webhook() -> AsyncIterator[FaultyUpstream]:
    """Who is told of soft limits."""
    async with FaultyUpstream() as hook:
        hook.answers({})
        yield hook


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(
    module_database: str, tmp_path_factory: pytest.TempPathFactory, webhook: FaultyUpstream
) -> AsyncIterator[tuple[Running, FaultyUpstream]]:
    """A server that was told all of this; at the end its books are gone through."""
    folder = tmp_path_factory.mktemp("manners")
    async with FaultyUpstream() as upstream:
        toml = TOML.format(upstream=upstream.base_url, webhook=webhook.base_url)
        async with serving(module_database, folder, toml=toml) as running:
            async with administering(running) as admin:
                await admin.ask("PUT", f"/accounts/{running.account_id}", {"budget": BUDGET})
            yield running, upstream
            async with running.database.reading() as session:
                assert await violations(session) == []


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if not each.is_asked], ids=str)
async def test_a_limit_of_output_is_written_where_the_upstream_reads_it(stage: Stage, operation: Operation) -> None:
    stage.upstream.answers({}, status=400)

    await asks(stage.running, operation, operation.body)

    named = {name for name in stage.upstream.requests[0].json if name.startswith("max_")}
    fields = {"/v1/chat/completions": {"max_completion_tokens"}, "/v1/completions": {"max_tokens"}}
    assert named == fields.get(operation.path, set())


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_a_drained_answer_is_read_to_its_end_and_charged_as_reported(
    stage: Stage, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows 24 and 33
    has_left, abandon = asyncio.Event(), Exchange.abandon

    def abandoned(exchange: Exchange) -> None:
        abandon(exchange)
        has_left.set()

    monkeypatch.setattr(Exchange, "abandon", abandoned)
    reported = operation.counted(7, 5)
    if operation.streamed:
        last = operation.word(None) | {"choices": [], "usage": reported}
        stage.upstream.streams(operation.word(), has_left, operation.word(), operation.word(None, "stop"), last)
    else:
        body = orjson.dumps(operation.whole(reported))
        headers = head(200, content_type="application/json", content_length=str(len(body)))
        stage.upstream.raw(headers, has_left, body)
    async with on_its_way(stage.running, operation) as asking:
        await stage.upstream.received()

        asking.cancel()

        await has_left.wait()
    [record] = await stage.records()
    assert told(record) == ("completed", "reported", None)
    assert record.total_tokens == (12 if operation.completes else 7)
    assert not stage.upstream.requests[0].gone.is_set()


@pytest.mark.parametrize("operation", OPERATIONS[:2], ids=str)
async def test_an_answer_is_not_drained_for_ever(
    stage: Stage, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_backend.domain.exchange.DRAIN_SECONDS", 0.0)
    stage.upstream.hangs()
    async with on_its_way(stage.running, operation) as asking:
        received = await stage.upstream.received()

        asking.cancel()

        await received.gone.wait()
    assert await stage.told() == [("failed", "estimated", "client_disconnected")]


async def test_a_soft_limit_that_is_passed_is_told_once(stage: Stage, webhook: FaultyUpstream) -> None:
    operation = OPERATIONS[0]
    stage.upstream.answers(operation.whole(operation.counted(BUDGET * 3 // 4, 1)))
    stage.upstream.answers(operation.whole(operation.counted(1, 1)))

    for _ in range(2):
        await asks(stage.running, operation, operation.body)

    event = (await webhook.received()).json
    assert (event["type"], event["data"]["currency"]) == ("budget.soft_limit_reached", "tokens")
    assert (event["data"]["account_id"], event["data"]["limit"]) == (stage.running.account_id, BUDGET)
    assert BUDGET * 3 // 4 < event["data"]["used"] < BUDGET
    assert webhook.requests[0].headers["webhook-id"] == event["id"]
    async with stage.running.database.reading() as session:
        assert list(await session.scalars(select(webhook_event.c.id))) == [event["id"]]
