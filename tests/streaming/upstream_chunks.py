"""Chunks as upstreams send them, and what a client reads of them once mended."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from llm_backend.streaming.chunks import ChatChunks, TextChunks

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: str(next(numbers))


def chat(*, wants_usage: bool = False, model: str | None = None) -> ChatChunks:
    return ChatChunks(wants_usage=wants_usage, model=model, created=1_700_000_000, new_id=ids())


def text(*, wants_usage: bool = False, model: str | None = None) -> TextChunks:
    return TextChunks(wants_usage=wants_usage, model=model, created=1_700_000_000, new_id=ids())


def chunk(*choices: Any, **more: Any) -> Any:
    head = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    return {**head, "choices": list(choices), **more}


def choice(delta: Any, finish_reason: Any = None, index: Any = 0, **more: Any) -> Any:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, **more}


def first(content: str = "") -> Any:
    return chunk(choice({"role": "assistant", "content": content}))


def sent(stream: ChatChunks | TextChunks, *chunks: Any) -> list[Any]:
    """Give what the client reads of `chunks`, without the conclusion."""
    payloads = [payload for sent in chunks for payload in stream.admit(json.dumps(sent).encode()).payloads]
    return [json.loads(payload) for payload in payloads]
