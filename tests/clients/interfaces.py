"""Readers of chat streams as chat interfaces and coding agents write them, and what each of these asks with."""

import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Body = dict[str, Any]

_PATH = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS: list[Body] = [{"type": "function", "function": {"name": "read_file", "parameters": _PATH}}]


@dataclass(slots=True)
class Gathered:
    """What a stream came to for its user."""

    text: str = ""
    arguments: dict[int, str] = field(default_factory=dict)
    """Of each tool call, by the place that its parts name; one that names none would be lost."""
    names: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    finish: str | None = None


def says(text: str, **fields: Any) -> Body:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **fields}


async def gathered(answer: aiohttp.ClientResponse) -> Gathered:
    """Reads `answer` line by line to `[DONE]`; chunks without choices tell of usage alone."""
    assert (answer.status, answer.content_type) == (200, "text/event-stream"), await answer.text()
    got = Gathered()
    async for line in answer.content:
        data = line.decode().strip().removeprefix("data: ")
        if data == "[DONE]":
            return got
        if line.startswith(b"data: "):
            _add(got, json.loads(data))
    raise AssertionError("The stream ended without [DONE].")


def _add(got: Gathered, chunk: dict[str, Any]) -> None:
    got.usage = chunk.get("usage") or got.usage
    for choice in chunk["choices"]:
        delta = choice["delta"]
        got.text += delta.get("content") or ""
        got.finish = choice["finish_reason"] or got.finish
        for call in delta.get("tool_calls") or ():
            place, function = call["index"], call["function"]
            got.arguments[place] = got.arguments.get(place, "") + function.get("arguments", "")
            got.names.setdefault(place, function.get("name", ""))
