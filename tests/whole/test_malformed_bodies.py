"""Whatever body is sent, the answer is short, typed, and shows nothing of it; and the next request is served."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from llm_backend.errors import Json
from tests.contract.test_descent_of_anything import changed, places
from tests.contract.wrong_bodies import chat, completion, embedding

CANARY = "canary-Zq7"
GOOD: dict[str, Json] = {
    "/v1/chat/completions": chat(tools=[{"type": "function", "function": {"name": "f"}}], stop=["."])[1],
    "/v1/completions": completion(["a", "b"], n=1)[1],
    "/v1/embeddings": embedding(["a", "b"])[1],
}
HELLO: Json = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}

scalars = (
    some.none()
    | some.booleans()
    | some.integers(-(2**70), 2**70)
    | some.floats()
    | some.sampled_from([CANARY, CANARY * 200, "\u0000" + CANARY, "\ud800" + CANARY])
)
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.just(CANARY), inner, max_size=2),
    max_leaves=8,
)


@some.composite
def bent(draw: some.DrawFn) -> tuple[str, bytes]:
    """A good body with anything in the place of any of its parts: a path, and bytes."""
    path = draw(some.sampled_from(sorted(GOOD)))
    body = GOOD[path] | {"model": draw(some.sampled_from(["echo", CANARY]))}
    value = changed(body, draw(some.sampled_from(list(places(body)))), draw(values))
    return path, json.dumps(value).encode()


@some.composite
def broken(draw: some.DrawFn) -> tuple[str, bytes]:
    """A good body with bytes cut out and others put in."""
    path = draw(some.sampled_from(sorted(GOOD)))
    body = json.dumps(GOOD[path] | {"user": CANARY}).encode()
    start = draw(some.integers(0, len(body)))
    end = draw(some.integers(start, len(body)))
    pieces = [b"", b"\xff", b"\x00", b"[" * 9000, b"{", b"}", b'"', b",", b"9" * 400, b"NaN", b"\xef\xbb\xbf", b"1e999"]
    return path, body[:start] + draw(some.sampled_from(pieces) | some.binary(max_size=20)) + body[end:]


@pytest.fixture
def assert_refused(client: httpx.Client) -> Callable[[str, bytes], None]:
    """Sends a body and holds the answer to all that is promised of answers to wrong ones."""

    def sent(path: str, body: bytes) -> None:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        if answer.status_code == 200:  # a bent body may still be a good one
            return
        assert 400 <= answer.status_code < 500, answer.text
        assert len(answer.content) <= 2048
        error: dict[str, Any] = answer.json()["error"]
        # The name of a model that does not exist is said back, as OpenAI does.
        assert CANARY not in answer.text or error["code"] == "model_not_found"
        assert set(error) == {"message", "type", "param", "code"}
        assert 0 < len(error["message"]) <= 300
        good = client.post("/v1/chat/completions", json=HELLO)
        assert good.json()["choices"][0]["message"]["content"] == "Hello"

    return sent


unhurried = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@unhurried
@given(request=bent())
def test_a_body_that_is_wrong_somewhere_is_refused_without_being_shown(
    assert_refused: Callable[[str, bytes], None], request: tuple[str, bytes]
) -> None:
    assert_refused(*request)


@unhurried
@given(request=broken())
def test_a_body_of_broken_bytes_is_refused_without_being_shown(
    assert_refused: Callable[[str, bytes], None], request: tuple[str, bytes]
) -> None:
    assert_refused(*request)
