"""What an ordinary request was made of is gone with its answer: a collection stops everybody, and is not due for it."""

import gc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llm_backend.domain.attempts import Attempts
from llm_backend.domain.exchange import Exchange
from llm_backend.edge.call import Call
from llm_backend.edge.writing import Writing
from tests.databases import ON_SQLITE
from tests.serving import Running

HELLO = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a whole answer": ("POST", "/v1/chat/completions", {"json": HELLO}),
    "a stream": ("POST", "/v1/chat/completions", {"json": HELLO | {"stream": True}}),
    "a resumable stream": (
        "POST",
        "/v1/chat/completions",
        {"json": HELLO | {"stream": True}, "headers": {"x-resumable": "true"}},
    ),
    "a model": ("GET", "/v1/models/echo", {}),
    "chats": ("GET", "/api/chats", {}),
    "a refused body": ("POST", "/v1/chat/completions", {"json": {"model": "echo"}}),
}
TIMES = 5


@pytest.fixture
def before() -> Iterator[list[object]]:
    """What other tests have left, from when on nothing is collected any more."""
    gc.collect()
    gc.disable()
    yield _of_requests()
    gc.enable()


@ON_SQLITE
@pytest.mark.parametrize("named", REQUESTS)
async def test_an_answered_request_leaves_nothing_to_be_collected(
    before: list[object], running: Running, named: str
) -> None:
    method, path, sent = REQUESTS[named]
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers) as client:
        for _ in range(TIMES):
            answer = await client.request(method, path, **sent)
            assert answer.status_code == (400 if named == "a refused body" else 200), answer.text
            await running.quiet()

        assert [repr(each) for each in _of_requests() if not any(each is other for other in before)] == []


def _of_requests() -> list[object]:
    kinds = Call, Exchange, Attempts, Writing
    return [each for each in gc.get_objects() if isinstance(each, kinds)]
