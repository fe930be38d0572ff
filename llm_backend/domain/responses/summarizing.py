"""The chat that is asked for a summary of what was said, where nobody makes another kind of compaction."""

from collections.abc import Mapping

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import Json

PROMPT = (
    "Write a summary of this conversation, with which you could go on with it without having read it. Say what is to be"
    " done and how, what was done, decided and found out, and what is still open. Keep names, numbers, paths and code"
    " that matter word for word. Answer with the summary alone."
)
"""What the model is asked in the end."""

OF_ANSWERS = frozenset({"text", "tool_choice", "top_logprobs", "include", "stream_options"})
"""How an answer is to be that is none of the talk: a summary is a text."""


def summary_body(body: Mapping[str, Json]) -> dict[str, Json]:
    """The chat that is asked for what the stateless `body` of a compaction asks for. Raises as `chat_body`."""
    chat = chat_body({name: value for name, value in body.items() if name not in OF_ANSWERS})
    # Some chats take calls only with the tools that were called; none is to be called now.
    uncalled = {"tool_choice": "none"} if "tools" in chat else {}
    return {**chat, **uncalled, "messages": [*chat["messages"], {"role": "user", "content": PROMPT}]}
