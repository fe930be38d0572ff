import pytest

from llm_backend.domain.stickiness import sticky_key
from llm_backend.errors import Json

SYSTEM, FIRST = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}
ANSWER, SECOND = {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Again"}


def chat(*messages: Json, **options: Json) -> Json:
    return {"messages": list(messages), **options}


def test_a_conversation_keeps_its_key_as_it_grows() -> None:
    assert sticky_key(1, chat(SYSTEM, FIRST)) == sticky_key(1, chat(SYSTEM, FIRST, ANSWER, SECOND)) is not None


@pytest.mark.parametrize(
    "other",
    [
        chat(SYSTEM, SECOND),
        chat(FIRST),
        chat(SYSTEM, FIRST, prompt_cache_key="k"),
        {"prompt": "Hello"},
    ],
)
def test_what_begins_otherwise_has_another_key(other: Json) -> None:
    assert sticky_key(1, other) != sticky_key(1, chat(SYSTEM, FIRST))


def test_the_clients_own_key_goes_before_what_is_said_and_is_its_accounts() -> None:
    one, two = chat(FIRST, prompt_cache_key="k"), chat(SECOND, prompt_cache_key="k")

    assert sticky_key(1, one) == sticky_key(1, two) != sticky_key(2, one)


def test_of_parts_their_texts_count() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "Hello"}, "odd"]

    assert sticky_key(1, chat({"role": "user", "content": parts})) == sticky_key(1, chat(FIRST))


@pytest.mark.parametrize("body", [{"input": "Hello"}, {"prompt": [1, 2]}, {"messages": "none"}, {"messages": ["odd"]}])
def test_what_has_no_beginning_has_no_key(body: Json) -> None:
    assert sticky_key(1, body) is None
