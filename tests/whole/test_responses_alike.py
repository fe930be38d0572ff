"""Whether its upstream answers responses or chats only: a dialogue comes to the same, as a client sees it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from llm_backend.errors import Json
from tests.domain.responses.answering import TOOLS
from tests.serving import Running, serving
from tests.whole.talking import Talk

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA: Json = {
    "type": "json_schema",
    "name": "answer",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"words": {"type": "string"}, "kind": {"enum": ["small", "big"]}},
        "required": ["words", "kind"],
        "additionalProperties": False,
    },
}
PROMPTS = (
    *("Hello big world", "🦜 says “hé”", "one two three four five six", "a\n\nb", '\\ " \u2028 end'),
    *("[[refuse]] Hello", "[[finish content_filter]] Hello world", "[[tokens prompt=12 completion=9 cached=3]] Hi"),
    *("[[tool get_weather city=Paris]] Hello", "[[tool get_weather]] [[tool get_time]] Paris", "[[tool write]] words"),
    *("[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] [[tool get_time]] of three",),
    *("[[tool write]] [[tool get_time]] now", "[[words 40]] on and on", "[[words 18]] [[refuse]] so"),
    f"[[tool get_time]] [[tool write]]{' and on' * 20}",
)

fields = some.fixed_dictionaries(
    {},
    optional={
        "instructions": some.sampled_from(["Be brief.", "Speak as a parrot does."]),
        "max_output_tokens": some.sampled_from([16, 20]),
        "text": some.sampled_from([{"format": SCHEMA}, {"format": {"type": "json_object"}}, {"verbosity": "low"}]),
        "parallel_tool_calls": some.just(value=False),
        "tool_choice": some.sampled_from(["auto", "none", "required", {"type": "function", "name": "get_time"}]),
        "temperature": some.sampled_from([0, 0.5]),
        "top_logprobs": some.just(2),
        "metadata": some.just({"kind": "proof"}),
    },
)
turns = some.tuples(fields, some.lists(some.sampled_from(PROMPTS), min_size=1, max_size=2), some.booleans())


class Both:
    """Two servers: on an upstream that has responses, and on one that has chats only."""

    def __init__(self, native: Running, chat: Running) -> None:
        self.native = native
        self.chat = chat


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    async with AsyncExitStack() as stack:
        started = []
        for kind in ("native", "chat"):
            folder = tmp_path_factory.mktemp(kind)
            shutil.copy(migrated_file, folder / "test.db")
            served = serving(f"sqlite:///{folder / 'test.db'}", folder, UPSTREAM_RESPONSES=kind)
            started.append(await stack.enter_async_context(served))
        yield Both(*started)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    way=some.sampled_from(["previous", "conversation", "value"]),
    model=some.sampled_from(["echo", "echo-reasoning"]),
    said=some.lists(turns, min_size=1, max_size=4),
)
async def test_a_dialogue_is_the_same_on_either_kind_of_upstream(
    both: Both, way: str, model: str, said: list[tuple[Json, list[str], bool]]
) -> None:
    native, chat = await asyncio.gather(*(_held(running, way, model, said) for running in (both.native, both.chat)))

    assert chat == native


async def _held(running: Running, way: str, model: str, said: list[tuple[Json, list[str], bool]]) -> list[Json]:
    """What the dialogue comes to with one server."""
    async with aiohttp.ClientSession(headers=running.headers) as client:
        talk = Talk(running, client, way)
        body = {"model": model, "tools": TOOLS}
        return [
            (_essence(await talk.turn(body | more, texts, streamed=streamed)), _told(talk.events))
            for more, texts, streamed in said
        ]


def _essence(answer: Json) -> Json:
    """A response without its ids and times, which are new each time."""
    by_chance = {"id", "created_at", "completed_at", "previous_response_id", "conversation"}
    return {name: value for name, value in answer.items() if name not in by_chance} | {
        "output": [_item(item) for item in answer["output"]]
    }


def _told(events: list[Json]) -> list[Json]:
    """What kinds of events came, about which item, in their order; thoughts are called by another name in a chat."""
    kinds = [
        event["type"]
        .replace("reasoning_summary_text", "reasoning_text")
        .replace("reasoning_summary_part", "content_part")
        for event in events
    ]
    return [(kind, event.get("output_index"), event.get("logprobs")) for kind, event in zip(kinds, events, strict=True)]


def _item(item: Json) -> Json:
    """An item without its ids. OpenAI shows of what a model thought a summary, chats tell all of it."""
    bare = {name: value for name, value in item.items() if name not in {"id", "call_id"}}
    if item["type"] == "reasoning":
        thought = [part["text"] for part in (*item["summary"], *item.get("content", ()))]
        return {"type": "reasoning", "thought": thought}
    return bare
