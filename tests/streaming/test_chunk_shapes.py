"""Whatever shape an upstream's chunk has: it is refused, withheld, or leaves by the rules."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.streaming.chunks import ChatChunks, TextChunks
from tests.streaming.upstream_chunks import chat, sent, text

KEYS = ["choices", "delta", "content", "role", "tool_calls", "function", "custom", "name", "arguments", "id", "index"]
KEYS += ["finish_reason", "usage", "model", "type", "text", "input", "object", "created", "logprobs"]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
PIECES = st.fixed_dictionaries({}, optional={"id": ODD, "index": ODD, "type": ODD, "function": ODD, "custom": ODD})
DELTAS = st.fixed_dictionaries(
    {}, optional={"role": ODD, "content": ODD, "tool_calls": ODD | st.lists(PIECES | ODD, max_size=3)}
)
CHOICES = st.fixed_dictionaries(
    {}, optional={"index": ODD, "delta": ODD | DELTAS, "text": ODD, "finish_reason": ODD, "logprobs": ODD}
)
ODD_CHUNKS = st.fixed_dictionaries(
    {}, optional={"id": ODD, "model": ODD, "usage": ODD, "choices": ODD | st.lists(CHOICES | ODD, max_size=3)}
)


STREAMS = st.sampled_from([chat, text]).flatmap(lambda make: st.booleans().map(lambda wants: make(wants_usage=wants)))


@given(st.lists(ODD_CHUNKS, max_size=6), STREAMS)
def test_whatever_shape_comes_what_goes_keeps_the_rules(chunks: list[Any], stream: ChatChunks | TextChunks) -> None:
    for word in sent(stream, *chunks):
        assert word["choices"]
        assert word.get("usage") is None
        assert all(isinstance(word[key], str) for key in ("id", "object", "model"))
        for each in word["choices"]:
            said = each["delta"].get("content", "") if isinstance(stream, ChatChunks) else each["text"]
            assert isinstance(said, str)
            assert not (said and each.get("finish_reason"))
