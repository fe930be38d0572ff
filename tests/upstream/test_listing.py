import asyncio
import json
import traceback

import pytest

from llm_backend.errors import (
    LLMBackendError,
    UpstreamBroken,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.listing import Listing
from llm_backend.upstream.offer import CHATBOT_UI_MODELS
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from tests.upstream.listers import Lister, answered, catalogue, ids, upstream_of
from tests.upstream.raw import raw_upstream


async def test_the_list_is_kept_for_a_minute(lister: Lister) -> None:
    async with catalogue(lister) as made:
        await made.list()
        lister.clock.advance(59.9)
        await made.list()
        assert lister.asked == 1

        lister.clock.advance(0.1)
        lister.names = ("new",)
        await made.list()
        await answered(made)
        assert (await ids(made))[0] == "new"
        assert lister.asked == 2


async def test_a_stale_list_is_served_while_the_upstream_is_away(lister: Lister) -> None:
    async with catalogue(lister) as made:
        before = await ids(made)
        lister.clock.advance(60)
        lister.status = "503 Away"

        assert await ids(made) == before
        await answered(made)
        assert await ids(made) == before
        assert lister.asked == 2

        lister.clock.advance(5)
        lister.status = "200 OK"
        lister.names = ("back",)
        await made.list()
        await answered(made)
        assert (await ids(made))[0] == "back"


async def test_nobody_waits_for_a_list_that_hangs_while_one_is_known(lister: Lister) -> None:
    async with catalogue(lister) as made:
        before = await ids(made)
        lister.clock.advance(60)
        lister.gate.clear()

        assert await ids(made) == before
        assert await ids(made) == before
        assert (await made.route("gpt-4")).upstream_model == "gpt-4"
        while lister.asked < 2:  # noqa: ASYNC110 (the upstream's counter is the event)
            await asyncio.sleep(0)

        lister.gate.set()
        await answered(made)
        assert lister.asked == 2


async def test_a_first_list_that_hangs_has_timed_out_and_is_asked_for_again_later(lister: Lister) -> None:
    lister.gate.clear()
    async with catalogue(lister) as made:
        listing = Listing(upstream_of(made), lister.clock.monotonic, ask_seconds=0.05)
        with pytest.raises(UpstreamTimedOut):
            await listing.current()
        assert await listing.known() is None

        lister.gate.set()
        lister.clock.advance(5)
        assert list(await listing.current()) == list(lister.names)


async def test_an_error_that_is_told_to_many_is_told_to_each_anew(lister: Lister) -> None:
    lister.status = "403 Forbidden"
    lister.body = json.dumps({"error": {"message": "Not you.", "code": "region"}}).encode()
    async with catalogue(lister) as made:
        errors = await asyncio.gather(*(made.list() for _ in range(5)), return_exceptions=True)

    told = [error for error in errors if isinstance(error, UpstreamRejected)]
    assert len({id(error) for error in told}) == 5
    assert {(str(error), error.code, error.upstream_status) for error in told} == {("Not you.", "region", 403)}
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in told}) == 1


async def test_many_who_ask_at_once_share_one_call(lister: Lister) -> None:
    lister.gate.clear()
    async with catalogue(lister) as made:
        asking = [asyncio.create_task(made.list()) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()
        lister.gate.set()
        answers = await asyncio.gather(*asking[1:])

    assert lister.asked == 1
    assert all(answers)


async def test_a_list_that_was_never_had_is_an_error(lister: Lister) -> None:
    lister.status = "500 Broken"
    async with catalogue(lister) as made:
        for _ in range(3):
            with pytest.raises(UpstreamBroken):
                await made.list()
        assert lister.asked == 1
        assert (await made.route("gpt-4")).upstream_model == "gpt-4"


async def test_what_is_configured_is_shown_although_the_list_was_never_had(lister: Lister) -> None:
    lister.status = "500 Broken"
    async with catalogue(lister, aliases={"mini": "small-chat"}, default_model="mini") as made:
        assert await ids(made) == ["small-chat", *CHATBOT_UI_MODELS, "mini"]
        assert (await made.get("gpt-4"))["owned_by"] == "main"
    async with catalogue(lister, aliases={"mini": "small-chat"}) as made:
        assert await ids(made) == ["mini"]


async def test_a_list_that_is_refused_is_an_error(lister: Lister) -> None:
    lister.status = "403 Forbidden"
    async with catalogue(lister) as made:
        with pytest.raises(UpstreamRejected):
            await made.list()


async def test_an_upstream_without_a_list_has_none(lister: Lister) -> None:
    lister.status = "404 Not Found"
    async with catalogue(lister) as made:
        assert await ids(made) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"not json", b'"text"'])
async def test_a_list_that_is_none_is_an_error(lister: Lister, body: bytes) -> None:
    lister.body = body
    async with catalogue(lister) as made:
        with pytest.raises(UpstreamInvalid):
            await made.list()


async def test_models_without_a_usable_id_are_left_out_and_others_completed(lister: Lister) -> None:
    models = [
        3,
        {},
        {"id": 3},
        {"id": ""},
        {"id": "a\n"},
        {"id": "\x85"},
        {"id": "x" * 257},
        {"id": "ok", "created": True, "root": 1},
    ]
    lister.body = json.dumps({"data": models}).encode()
    async with catalogue(lister) as made:
        shown = await made.get("ok")

    assert shown == {"id": "ok", "created": 0, "root": 1, "object": "model", "owned_by": "main"}


async def test_closing_stops_a_question_under_way(lister: Lister) -> None:
    lister.gate.clear()
    async with catalogue(lister) as made:
        asking = asyncio.create_task(made.list())
        while not lister.asked:  # noqa: ASYNC110 (the upstream's counter is the event)
            await asyncio.sleep(0)
    asked = await asyncio.gather(asking, return_exceptions=True)

    assert isinstance(asked[0], asyncio.CancelledError)


async def test_an_id_of_letters_newer_than_this_python_is_usable(lister: Lister) -> None:
    unassigned = "\U0001fae9\u0378"
    lister.names = (unassigned,)
    async with catalogue(lister) as made:
        assert (await ids(made))[0] == unassigned


async def test_an_upstream_that_is_not_there_is_unreachable() -> None:
    async with raw_upstream() as raw:
        pass
    transport = HttpTransport(raw.url, None)
    upstream = Upstream("main", transport, timeouts=Timeouts(), circuit=Circuit())
    made = Catalogue(Upstreams([upstream]))

    with pytest.raises(LLMBackendError) as caught:
        await made.list()
    await made.close()
    await upstream.close()

    assert type(caught.value) is UpstreamUnreachable


async def test_what_is_listed_is_made_once_until_an_upstream_tells_another_list(lister: Lister) -> None:
    async with catalogue(lister) as made:
        first, again = await made.names(), await made.get("small-chat")
        assert again is await made.get("small-chat")

        lister.clock.advance(60)
        lister.names = ("new",)
        await made.names()
        await answered(made)

        assert "small-chat" in first
        assert next(iter(await made.names())) == "new"
        assert "small-chat" not in await made.names()
