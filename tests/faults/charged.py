"""The operations that cost something, each as it is asked and as an upstream answers it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from llm_backend.errors import Json
from tests.faults.asking import events_in
from tests.faulty import chunk, completion, counts
from tests.serving import Running

TEXT = "Hello there"
"""What every operation is asked with: three tokens, as they are counted here."""


@dataclass(frozen=True)
class Operation:
    """One operation, whole or streamed."""

    name: str
    operation_id: str
    path: str
    body: Json
    content: Callable[[str], Json]
    """A whole answer with this text, without its usage."""
    streamed: bool = False
    is_asked: bool = False
    """Whether it is a question to a chat, which is charged nothing when it fails."""
    completes: bool = True
    """Whether its answers have tokens of their own."""

    def whole(self, usage: Json = None) -> Json:
        """What the upstream answers."""
        return self.content("word word ") | ({} if usage is None else {"usage": usage})

    def capped(self, tokens: int) -> Json:
        """The body, with a limit of its answer where it has one to name."""
        if not self.completes:
            return self.body
        return self.body | ({"model_args": {"max_tokens": tokens}} if self.is_asked else {"max_tokens": tokens})

    def counted(self, prompt: Json, completed: Json) -> Json:
        """A usage, as the operation has it."""
        return counts(prompt, completed) if self.completes else {"prompt_tokens": prompt, "total_tokens": prompt}

    def word(self, text: str | None = "word ", finish: str | None = None) -> Json:
        """An event of its stream."""
        if self.path.endswith("chat/completions"):
            return chunk(text, finish=finish)
        return chunk() | {"object": "text_completion", "choices": [_text(text or "", finish)]}

    def __str__(self) -> str:
        return self.name


def _chat(text: str) -> Json:
    answer = completion(text)
    del answer["usage"]
    return answer


def _continued(text: str) -> Json:
    return _chat(text) | {"object": "text_completion", "choices": [_text(text, "stop")]}


def _text(text: str, finish: str | None) -> Json:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _embedded(_text: str) -> Json:
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
    return {"object": "list", "data": data, "model": "echo"}


_MESSAGES: Json = {"model": "echo", "messages": [{"role": "user", "content": TEXT}]}
_PROMPT: Json = {"model": "echo", "prompt": TEXT}
_CHAT = ("createChatCompletion", "/v1/chat/completions")
_TEXT = ("createCompletion", "/v1/completions")

OPERATIONS = [
    Operation("chat", *_CHAT, _MESSAGES, _chat),
    Operation("chat streamed", *_CHAT, _MESSAGES | {"stream": True}, _chat, streamed=True),
    Operation("text", *_TEXT, _PROMPT, _continued),
    Operation("text streamed", *_TEXT, _PROMPT | {"stream": True}, _continued, streamed=True),
    Operation(
        "embeddings",
        "createEmbedding",
        "/v1/embeddings",
        {"model": "echo", "input": TEXT},
        _embedded,
        completes=False,
    ),
    Operation("question", "askChat", "/api/chats/{chat}/messages", {"content": TEXT}, _chat, is_asked=True),
]


@asynccontextmanager
async def on_its_way(
    running: Running, operation: Operation, two_events: asyncio.Event | None = None
) -> AsyncIterator["asyncio.Task[bool]"]:
    """A request that runs; it is cancelled by the test, and with it its connection."""
    task = asyncio.create_task(asks(running, operation, operation.body, two_events))
    yield task
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def asks(running: Running, operation: Operation, body: Json, two_events: asyncio.Event | None = None) -> bool:
    """Ask; whether the answer came whole. `two_events`: set when so many of a stream were read."""
    async with aiohttp.ClientSession(running.root, headers=running.headers) as client:
        path = operation.path
        if operation.is_asked:
            async with client.post("/api/chats", json={"name": "homework"}) as made:
                path = path.format(chat=(await made.json())["id"])
        async with client.post(path, json=body) as answer:
            if two_events is not None and operation.streamed:
                for _ in range(2):
                    await answer.content.readuntil(b"\n\n")
                two_events.set()
            content = await answer.read()
            if operation.streamed and answer.ok:
                return bool(events_in(content)[-1] == "[DONE]")
            return answer.ok
