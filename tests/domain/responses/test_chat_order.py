"""Whatever dialogue is given: a chat hears all of it, in order."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.responses.chat_items import BETWEEN
from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import Json
from tests.domain.responses.conftest import Accepts
from tests.domain.responses.dialogues import call, custom_call, output, said, thought

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=5)
TEXTS = st.lists(TEXT, max_size=3)
KINDS = {
    "message": "text",
    "reasoning": "thought",
    "function_call": "call",
    "custom_tool_call": "call",
    "function_call_output": "output",
}
"""What each item says."""
IDS = st.from_regex(r"call_[a-z]{1,3}", fullmatch=True)
ITEMS = st.one_of(
    st.builds(lambda role, texts: said(role, *texts), st.sampled_from(["user", "assistant", "developer"]), TEXTS),
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), TEXT),
    st.builds(lambda texts: thought(*texts), TEXTS),
    st.builds(call, IDS),
    st.builds(custom_call, IDS),
    st.builds(output, IDS, TEXT),
)


@given(st.lists(ITEMS, max_size=12))
def test_whatever_was_said_arrives_in_order(accepts: Accepts, items: list[Json]) -> None:
    told = [*items, said("user", "The end.")]

    body = chat_body({"model": "m", "input": told})

    for kind in KINDS.values():
        assert list(_heard(kind, body["messages"])) == list(_said(kind, told))
    for message, following in pairwise(body["messages"]):
        assert not (message.get("tool_calls") and following["role"] == "assistant")
    assert accepts("createResponse", {"model": "m", "input": told})
    assert accepts("createChatCompletion", body)


def _said(kind: str, items: list[Json]) -> Iterator[str]:
    """All of one kind that the items say; of an output, whose it is."""
    for item in items:
        if kind == KINDS[item.get("type", "message")]:
            named = [item["call_id"]] if "call_id" in item else []
            yield from [*named, *_texts(item.get("output", item.get("content", [])))]


def _heard(kind: str, messages: list[Json]) -> Iterator[str]:
    """The same of a chat's messages."""
    for message in messages:
        if message["role"] == "tool":
            said_here = {"output": [message["tool_call_id"], message["content"]]}
        else:
            said_here = {
                "text": list(filter(None, _texts(message["content"] or []))),
                "thought": list(filter(None, message.get("reasoning_content", "").split(BETWEEN))),
                "call": [asked["id"] for asked in message.get("tool_calls", ())],
            }
        yield from said_here.get(kind, ())


def _texts(content: Json) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]
