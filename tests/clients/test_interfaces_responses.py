"""Interfaces and agents that ask for responses, each as it does, whichever kind of upstream there is."""

import json
from pathlib import Path

import aiohttp
import pytest

from tests.clients.interfaces import Body
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk
from tests.serving import Running, serving

pytestmark = ON_SQLITE


def codex(text: str) -> Body:
    """What Codex sends each turn: nothing is kept, all that was said comes again, what it thought is sealed."""
    return {
        "model": "gpt-5-codex",
        "instructions": "Work on the code. " * 1_200,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: on."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAAAB-sealed"},
            {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "call_2"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done."},
        ],
        "tools": [
            {"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object", "properties": {}}},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Changes files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'},
            },
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
        "client_metadata": {"x-codex-installation-id": "1"},
    }


RESPONSE: Body = {"id": "resp_1", "object": "response", "model": "gpt-5-codex", "status": "in_progress", "output": []}
THOUGHT: Body = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB-next"}
USAGE: Body = {
    "input_tokens": 70,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 75,
}


def events_of(text: str) -> list[Body]:
    """What an event stream says, each under its own name."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
    assert [name for name, _ in events] == [event["type"] for _, event in events]
    return [event for _, event in events]


async def asked_by_codex(running: Running, body: Body) -> list[Body]:
    """The events that Codex is answered."""
    own = {"originator": "codex_cli_rs", "session_id": "0199a213", "accept": "text/event-stream"}
    async with (
        aiohttp.ClientSession(headers=running.headers) as client,
        client.post(f"{running.base_url}/responses", json=body, headers=own) as answer,
    ):
        text = await answer.text()
    assert answer.status == 200, text
    return events_of(text)


async def test_codex_sends_all_that_was_said_and_gets_its_sealed_thoughts_back(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    told: list[Body] = [
        {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": THOUGHT},
        {"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": THOUGHT},
        {
            "type": "response.completed",
            "sequence_number": 3,
            "response": RESPONSE | {"status": "completed", "output": [THOUGHT], "usage": USAGE},
        },
    ]
    upstream.streams(*(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told), Cut)
    url, key = upstream.base_url, "sk-upstream-canary-0123456789abcdef"
    async with serving(
        database_url, tmp_path, OPENAI_BASE_URL=url, OPENAI_API_KEY=key, UPSTREAM_RESPONSES="native"
    ) as running:
        events = await asked_by_codex(running, codex("Hi"))
        (record,) = await running.records()

    sent, asked = upstream.requests[0].json, codex("Hi")
    kinds = [event["type"] for event in events]
    assert kinds == ["response.created", "response.in_progress", *(each["type"] for each in told[1:])]
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3, 4]
    assert events[3]["item"] == events[4]["response"]["output"][0] == THOUGHT
    assert {**sent, "input": None} == {**asked, "input": None}
    # What is sealed is bound to a name that is not ours.
    assert not any("id" in item for item in sent["input"])
    assert [
        {name: got.get(name) for name in item} for item, got in zip(asked["input"], sent["input"], strict=True)
    ] == (asked["input"])
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (70, 60, 5)


async def test_codex_thinks_and_calls_its_tools_on_an_upstream_that_has_chats_only(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    shell = {"id": "call_3", "type": "function", "function": {"name": "shell", "arguments": "{}"}}
    patch = {"id": "call_4", "type": "custom", "custom": {"name": "apply_patch", "input": "a"}}
    calls = [{"index": place, **call} for place, call in enumerate((shell, patch))]
    upstream.streams(chunk(reasoning_content="List first."), chunk(tool_calls=calls, finish="tool_calls"))
    upstream.streams("Done.")
    first = codex("Hi")
    first["tools"] = first["tools"][:2]
    first["input"] = first["input"][:2]

    *_, last = await asked_by_codex(relaying, first)
    output = last["response"]["output"]
    # As Codex keeps them: without ids, and what a thought says stands beside its seal.
    kept = [{name: value for name, value in item.items() if name not in {"id", "status"}} for item in output]
    results = [{"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "a.py"} for item in output[1:]]
    second = {**first, "input": [*first["input"], kept[0] | {"encrypted_content": None}, *kept[1:], *results]}
    *_, end = await asked_by_codex(relaying, second)

    assert [item["type"] for item in output] == ["reasoning", "function_call", "custom_tool_call"]
    assert end["response"]["output"][0]["content"][0]["text"] == "Done."
    messages = upstream.requests[1].json["messages"]
    assert [message["role"] for message in messages] == ["system", "system", "user", "assistant", "tool", "tool"]
    assert messages[3] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "List first.",
        "tool_calls": [shell, patch],
    }
    assert [message["tool_call_id"] for message in messages[4:]] == ["call_3", "call_4"]


async def test_codex_is_told_by_name_what_a_chat_cannot_carry(relaying: Running, upstream: FaultyUpstream) -> None:
    asked = codex("Hi")
    searching = {**asked, "input": asked["input"][:2]}
    async with aiohttp.ClientSession(headers=relaying.headers) as client:
        answers = [await client.post(f"{relaying.base_url}/responses", json=body) for body in (searching, asked)]
        errors = [(await answer.json())["error"] for answer in answers]

    assert [answer.status for answer in answers] == [400, 400]
    assert [(error["param"], error["code"]) for error in errors] == [
        ("tools[2].type", "unsupported_value"),
        ("input[2].encrypted_content", "unsupported_value"),
    ]
    assert "web_search" in errors[0]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("kind", ["native", "chat"])
async def test_n8n_lists_models_and_asks_for_responses(database_url: str, tmp_path: Path, kind: str) -> None:
    asked = {
        "model": "echo",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "parallel_tool_calls": True,
        "store": True,
        "background": False,
    }
    async with (
        serving(database_url, tmp_path, UPSTREAM_RESPONSES=kind) as running,
        aiohttp.ClientSession(headers=running.headers) as session,
    ):
        async with session.get(f"{running.base_url}/models") as answer:
            listed = [model["id"] for model in (await answer.json())["data"]]
        async with session.post(f"{running.base_url}/responses", json=asked) as answer:
            output = (await answer.json())["output"]

    assert "echo" in listed
    assert [part["text"] for item in output for part in item["content"]] == ["Hi"]


@pytest.mark.parametrize("kind", ["native", "chat"])
async def test_lobechat_sends_all_that_was_said_and_reads_the_events(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    asked = {
        "model": "echo-reasoning",
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Where is Paris?"},
            {"role": "assistant", "content": "In France."},
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "It is."},
            {"role": "user", "content": [{"type": "input_text", "text": "And Rome?"}]},
        ],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [{"type": "function", "name": "look", "description": "", "parameters": {"type": "object"}}],
        "stream": True,
        "store": False,
    }
    async with (
        serving(database_url, tmp_path, UPSTREAM_RESPONSES=kind) as running,
        aiohttp.ClientSession(headers=running.headers) as session,
        session.post(f"{running.base_url}/responses", json=asked) as answer,
    ):
        events = events_of(await answer.text())

    said = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert ("".join(said), events[-1]["type"]) == ("And Rome?", "response.completed")
    assert events[-1]["response"]["usage"]["output_tokens"] == 7
