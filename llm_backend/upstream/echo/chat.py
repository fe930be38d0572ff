"""What the echo model says to a conversation, before it is put on the wire."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.conversation import Conversation
from llm_backend.upstream.echo.limits import cut, stopped
from llm_backend.upstream.echo.schema import Maker
from llm_backend.upstream.echo.script import Refusal
from llm_backend.upstream.echo.tools import Tool, chosen


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool: its name is one token, each word of its input another."""

    id: str
    tool: Tool
    input: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return 1 + len(self.input)


@dataclass(frozen=True, slots=True)
class Speech:
    """One choice, in pieces of one token each."""

    reasoning: tuple[str, ...] = ()
    content: tuple[str, ...] | None = None
    refusal: tuple[str, ...] | None = None
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"

    @property
    def tokens(self) -> int:
        spoken = len(self.reasoning) + len(self.content or ()) + len(self.refusal or ())
        return spoken + sum(call.tokens for call in self.calls)


def speak(conversation: Conversation, digest: str) -> list[Speech]:
    """The choices, alike but for the ids of their calls."""
    first = _spoken(conversation, f"{digest}0")
    others = range(1, conversation.choices)
    return [first, *(_spoken(conversation, f"{digest}{index}") if first.calls else first for index in others)]


def _spoken(conversation: Conversation, seed: str) -> Speech:
    directives = conversation.directives
    speech = _said(conversation, seed)
    if conversation.reasons:
        thought = f"The user said {words.count(conversation.prompt)} words."
        speech = replace(speech, reasoning=words.pieces(thought))
    limited = _limited(speech, conversation)
    return replace(limited, finish=directives.finish) if directives.finish else limited


def _said(conversation: Conversation, seed: str) -> Speech:
    if conversation.directives.refuses:
        return Speech(refusal=words.pieces("I cannot help with that."))
    if calls := tuple(_calls(conversation, seed)):
        return Speech(calls=calls, finish="tool_calls")
    return Speech(content=_content(conversation))


def _content(conversation: Conversation) -> tuple[str, ...]:
    text = conversation.prompt if conversation.results is None else conversation.results
    wanted = conversation.request.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        return words.pieces(_json(Maker(_schema(wanted), text).make()))
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        return words.pieces(_json({"echo": text}))
    spoken = words.pieces(text)
    number = conversation.directives.words
    return spoken if number is None else words.repeated(spoken, number)


def _schema(wanted: Mapping[str, Json]) -> Json:
    described = wanted.get("json_schema")
    if not isinstance(described, dict) or "name" not in described:
        message = "Missing required parameter: 'response_format.json_schema.name'."
        param = "response_format.json_schema.name"
        raise Refusal(message, param=param, code="missing_required_parameter")
    return described.get("schema") or {"type": "object"}


def _calls(conversation: Conversation, seed: str) -> Iterator[ToolCall]:
    for index, (tool, given) in enumerate(chosen(conversation)):
        digest = sha256(f"{seed}/{index}".encode()).hexdigest()
        yield ToolCall(f"call_{digest[:24]}", tool, _input(tool, given, conversation.prompt))


def _input(tool: Tool, given: Mapping[str, Json], text: str) -> tuple[str, ...]:
    if tool.is_custom:
        return words.pieces(text)
    made = Maker(tool.parameters, text).make()
    return words.pieces(_json({**made, **given} if isinstance(made, dict) else made))


def _limited(speech: Speech, conversation: Conversation) -> Speech:
    """Cut at the first stop sequence, then at the token limit."""
    if speech.content is not None:
        speech = replace(speech, content=stopped(speech.content, conversation.stops))
    limit = conversation.limit
    if limit is None or speech.tokens <= limit:
        return speech
    reasoning, left = cut(speech.reasoning, limit)
    content, left = cut(speech.content, left) if speech.content is not None else (None, left)
    refusal, left = cut(speech.refusal, left) if speech.refusal is not None else (None, left)
    return Speech(reasoning, content, refusal, _cut_calls(speech.calls, left), "length")


def _cut_calls(calls: tuple[ToolCall, ...], left: int) -> tuple[ToolCall, ...]:
    kept = []
    for call in calls:
        if left < 1:
            break
        shown, rest = cut(call.input, left - 1)
        kept.append(replace(call, input=shown))
        left = rest
    return tuple(kept)


def _json(value: Json) -> str:
    """One space after each comma and colon of the first level keeps the words of an answer apart."""
    return orjson.dumps(value).decode() if not isinstance(value, dict) else _spaced(value)


def _spaced(value: Mapping[str, Json]) -> str:
    members = (f"{orjson.dumps(name).decode()}: {orjson.dumps(member).decode()}" for name, member in value.items())
    return "{" + ", ".join(members) + "}"
