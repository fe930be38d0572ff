"""What of an item is shown only to whoever asks for it, whatever shape an upstream gave it."""

import pytest

from llm_backend.domain.inclusion import shown_with
from llm_backend.errors import Json

SEARCH: Json = {"type": "web_search_call", "action": {"type": "search", "sources": ["a"]}, "results": ["b"]}


@pytest.mark.parametrize(
    ("include", "shown"),
    [
        ([], {"type": "web_search_call", "action": {"type": "search"}}),
        (["web_search_call.results"], {"type": "web_search_call", "action": {"type": "search"}, "results": ["b"]}),
        (["web_search_call.action.sources", "web_search_call.results"], SEARCH),
        (["reasoning.encrypted_content"], {"type": "web_search_call", "action": {"type": "search"}}),
    ],
)
def test_only_what_is_asked_for_is_added(include: list[str], shown: Json) -> None:
    assert shown_with(SEARCH, include) == shown


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "action": None},
        {"type": "web_search_call"},
        {"type": "reasoning", "summary": []},
        {"type": "compaction", "encrypted_content": "sealed"},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
    ],
)
def test_what_has_nothing_of_the_kind_is_shown_as_it_is(item: Json) -> None:
    assert shown_with(item, []) == item


def test_an_item_that_is_shown_stays_as_it_was() -> None:
    shown_with(SEARCH, [])

    assert SEARCH["action"] == {"type": "search", "sources": ["a"]}
