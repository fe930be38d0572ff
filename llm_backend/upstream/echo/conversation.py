"""A chat request as the echo model reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.limits import check_context
from llm_backend.upstream.echo.request import limit_of, number_of, stops_of
from llm_backend.upstream.echo.script import Refusal


@dataclass(frozen=True, slots=True)
class Conversation:
    """What matters of the messages and the settings."""

    request: Mapping[str, Json]
    prompt: str
    """The last user message, without directives."""
    results: str | None
    """What the tools gave, where the conversation ends in that."""
    prompt_tokens: int
    directives: Directives
    reasons: bool
    choices: int
    limit: int | None
    stops: Sequence[str]


def converse(request: Mapping[str, Json], *, reasons: bool) -> Conversation:
    """Read `request`. Raises Refusal where it is broken."""
    messages = _messages(request)
    texts = [_text(message.get("content")) for message in messages]
    roles = [message["role"] for message in messages]
    last = next((text for text, role in zip(reversed(texts), reversed(roles), strict=True) if role == "user"), "")
    trailing = _trailing(roles)
    choices = number_of(request, "n")
    check_context(sum(map(len, texts)), choices, "messages")
    return Conversation(
        request=request,
        prompt=asked.plain(last),
        results=" ".join(texts[-trailing:]) if trailing else None,
        prompt_tokens=sum(words.count(asked.plain(text)) for text in texts),
        directives=asked.read(last),
        reasons=reasons,
        choices=choices,
        limit=limit_of(request, "max_completion_tokens", "max_tokens"),
        stops=stops_of(request),
    )


def _messages(request: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    messages = request.get("messages")
    if messages is None:
        message = "Missing required parameter: 'messages'."
        raise Refusal(message, param="messages", code="missing_required_parameter")
    if not isinstance(messages, list) or not messages:
        raise Refusal("'messages' is a list of at least one message.", param="messages", code="invalid_value")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal("A message needs its role.", param=f"messages[{index}]", code="invalid_value")
    return messages


def _trailing(roles: Sequence[str]) -> int:
    """How many messages at the end are results of tools."""
    number = 0
    for role in reversed(roles):
        if role not in ("tool", "function"):
            break
        number += 1
    return number


def _text(content: Json) -> str:
    """The text of a message; parts that are no text say nothing."""
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return content if isinstance(content, str) else ""
