"""The official Python SDK: responses that are kept, on every kind of upstream and database."""

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from tests.clients.kinds import client, lenient, shared_url, variables
from tests.serving import Running

__all__ = ["client", "lenient", "shared_url", "variables"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDED = {"completed", "incomplete", "failed", "cancelled"}

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


class Capital(BaseModel):
    country: str
    city: str


async def ended(client: AsyncOpenAI, response_id: str) -> Any:
    """Asks for a response until it is one that has ended."""
    async with asyncio.timeout(20):
        while True:
            found = await client.responses.retrieve(response_id)
            if found.status in ENDED:
                return found
            await asyncio.sleep(0.02)


async def test_a_response_is_found_as_it_was_answered(client: AsyncOpenAI) -> None:
    told = await client.responses.create(
        model="echo",
        input="one two",
        instructions="Be brief.",
        metadata={"topic": "trees"},
        temperature=0.5,
        max_output_tokens=100,
        prompt_cache_key="cache",
        safety_identifier="someone",
    )

    found = await client.responses.retrieve(told.id)

    assert found == told
    assert (found.status, found.output_text) == ("completed", "one two")
    assert (found.instructions, found.metadata, found.temperature) == ("Be brief.", {"topic": "trees"}, 0.5)
    assert found.usage
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens > 0


async def test_a_stream_is_gathered_by_the_sdk_and_found_as_it_was_gathered(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="echo", input="one two three") as stream:
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        gathered = await stream.get_final_response()

    found = await client.responses.retrieve(gathered.id)

    assert "".join(said) == gathered.output_text == "one two three"
    assert (found.output_text, found.usage) == (gathered.output_text, gathered.usage)
    assert [item.to_dict()["id"] for item in found.output] == [item.to_dict()["id"] for item in gathered.output]


async def test_an_answer_is_parsed_into_a_model_whole_and_streamed(client: AsyncOpenAI) -> None:
    whole = await client.responses.parse(model="echo", input="Paris", text_format=Capital)
    async with client.responses.stream(model="echo", input="Paris", text_format=Capital) as stream:
        streamed = await stream.get_final_response()

    assert whole.output_parsed == streamed.output_parsed == Capital(country="Paris", city="Paris")


async def test_a_limit_of_output_leaves_a_response_incomplete(client: AsyncOpenAI) -> None:
    cut = await client.responses.create(model="echo", input="one two three", max_output_tokens=2)

    assert cut.incomplete_details
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.output_text == "one two"
    assert (await client.responses.retrieve(cut.id)) == cut


async def test_a_picture_is_looked_at_and_listed_with_its_question(client: AsyncOpenAI) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
    ]
    seen = await client.responses.create(model="echo", input=[{"role": "user", "content": content}])

    listed: list[Any] = (
        await client.responses.input_items.list(seen.id, include=["message.input_image.image_url"])
    ).data

    assert seen.output_text == "What is this?"
    assert [(part.type, getattr(part, "image_url", None)) for part in listed[0].content] == [
        ("input_text", None),
        ("input_image", PIXEL),
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_what_a_response_was_given_is_listed_page_by_page(client: AsyncOpenAI, order: Any) -> None:
    first = await client.responses.create(model="echo", input="before")
    given: Any = [{"role": "user", "content": f"{number}"} for number in range(7)]
    response = await client.responses.create(model="echo", input=given, previous_response_id=first.id)

    pages = client.responses.input_items.list(response.id, limit=3, order=order)
    items: list[Any] = [item async for item in pages]

    said = [item.content[0].text for item in items]
    assert (said if order == "asc" else said[::-1]) == [f"{number}" for number in range(7)]
    assert len({item.id for item in items}) == 7


async def test_a_response_that_is_deleted_is_found_by_nothing(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="echo", input="forget this")

    await client.responses.delete(response.id)

    for asked in (
        client.responses.retrieve(response.id),
        client.responses.delete(response.id),
        client.responses.cancel(response.id),
        client.responses.create(model="echo", input="on", previous_response_id=response.id),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked
    with pytest.raises(openai.NotFoundError):
        await client.responses.input_items.list(response.id)


async def test_what_is_not_to_be_stored_is_not_found(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="echo", input="nothing kept", store=False)

    assert response.output_text == "nothing kept"
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)


async def test_a_response_made_in_the_background_is_asked_for_until_it_has_ended(
    client: AsyncOpenAI, platform: Running
) -> None:
    begun = await client.responses.create(model="echo", input="[[delay 0.05]] one two", background=True)
    made = await ended(client, begun.id)

    assert (begun.status, begun.background, begun.output) == ("queued", True, [])
    assert (made.status, made.output_text, made.usage.output_tokens) == ("completed", "one two", 2)
    (record,) = await platform.records()
    assert (record.status, record.basis, record.completion_tokens) == ("completed", "reported", 2)


async def test_a_response_in_the_background_is_cancelled_and_stays_so(client: AsyncOpenAI) -> None:
    slow = "[[delay 0 between=0.2]] " + "word " * 200
    begun = await client.responses.create(model="echo", input=slow, background=True)

    cancelled = await client.responses.cancel(begun.id)

    assert cancelled.status == "cancelled"
    assert (await client.responses.cancel(begun.id)).status == "cancelled"
    assert (await client.responses.retrieve(begun.id)).status == "cancelled"


async def read_on(client: AsyncOpenAI, response_id: str, number: int) -> list[ResponseStreamEvent]:
    return [event async for event in await client.responses.retrieve(response_id, stream=True, starting_after=number)]


async def test_a_stream_is_read_on_from_each_of_its_events(client: AsyncOpenAI) -> None:
    events = [event async for event in await client.responses.create(model="echo", input="one two", stream=True)]
    assert events[0].type == "response.created"
    response_id = events[0].response.id

    rest = [await read_on(client, response_id, number) for number in range(len(events))]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert rest == [events[number + 1 :] for number in range(len(events))]
    assert [event async for event in await client.responses.retrieve(response_id, stream=True)] == events


async def test_a_stream_in_the_background_that_was_lost_is_read_on_while_it_is_made(client: AsyncOpenAI) -> None:
    slow = "[[delay 0 between=0.02]] one two three four five six seven eight"
    stream = await client.responses.create(model="echo", input=slow, background=True, stream=True)
    came: list[ResponseStreamEvent] = []
    async for event in stream:
        came.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    assert came[0].type == "response.created"

    rest = await read_on(client, came[0].response.id, came[-1].sequence_number)

    events = [*came, *rest]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "one two three four five six seven eight"
    assert (await client.responses.retrieve(came[0].response.id)) == events[-1].response


async def test_the_sdk_gathers_what_it_reads_on_from_the_first_event(client: AsyncOpenAI) -> None:
    begun = await client.responses.create(model="echo", input="one two three", background=True)

    async with client.responses.stream(response_id=begun.id) as stream:
        gathered = await stream.get_final_response()

    assert (gathered.id, gathered.output_text) == (begun.id, "one two three")


async def test_a_response_can_be_gone_on_with_the_instant_its_stream_has_ended(client: AsyncOpenAI) -> None:
    previous = None
    for number in range(100):
        stream = await client.responses.create(
            model="echo", input=f"{number}", previous_response_id=previous, truncation="auto", stream=True
        )
        async for event in stream:
            if event.type == "response.completed":
                assert event.response.previous_response_id == previous
                assert event.response.output_text == f"{number}"
                previous = event.response.id
                break
        await stream.close()

    last: Any = await client.responses.retrieve(str(previous))
    assert last.usage.input_tokens == 2 * 100 - 1


async def test_a_long_talk_is_counted_made_short_and_gone_on_with(
    client: AsyncOpenAI, lenient: AsyncOpenAI, platform: Running
) -> None:
    words = "one two three four five " * 20
    first = await client.responses.create(model="echo", input=words)
    records = len(await platform.records())

    counted = await client.responses.input_tokens.count(model="echo", input="And then?", previous_response_id=first.id)
    made = await lenient.responses.compact(model="echo", input="And then?", previous_response_id=first.id)
    items: Any = [item.model_dump(warnings=False) for item in made.output]
    after = await client.responses.create(model="echo", input=[*items, {"role": "user", "content": "Go on"}])

    assert counted.input_tokens > len(words.split())
    assert made.output[-1].type == "compaction"
    assert made.usage.input_tokens > len(words.split())
    assert after.output_text == "Go on"
    assert len(await platform.records()) == records + 2


async def test_chats_are_stored_listed_changed_and_forgotten(client: AsyncOpenAI, lenient: AsyncOpenAI) -> None:
    chats = client.chat.completions
    asked: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two"}]
    made = [(await chats.create(model="echo", messages=asked, store=True, metadata={"n": f"{n}"})).id for n in range(3)]
    changed = await chats.update(made[0], metadata={"n": "none"})

    assert [each.id async for each in chats.list(limit=1)] == made
    assert [each.id async for each in chats.list(metadata={"n": "2"})] == made[2:]
    assert (await chats.retrieve(made[0])) == changed
    messages = [each.content async for each in lenient.chat.completions.messages.list(made[0], limit=1)]
    assert messages == ["Be brief.", "one two"]
    assert (await chats.delete(made[1])).deleted
    assert [each.id async for each in chats.list()] == [made[0], made[2]]
