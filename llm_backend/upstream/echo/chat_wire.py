"""Chat completions as OpenAI writes them: whole, and in chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.chat import Speech, ToolCall
from llm_backend.upstream.echo.conversation import Conversation
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.logprobs import chat_logprobs
from llm_backend.upstream.echo.request import limit_of, wants_usage
from llm_backend.upstream.echo.usage import Usage

CREATED = 1_735_689_600
"""Unix seconds; a constant, so that the same request gives the same bytes."""
FINGERPRINT = "fp_echo"


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices to one conversation, and what they cost."""

    conversation: Conversation
    speeches: Sequence[Speech]
    digest: str

    @property
    def usage(self) -> Usage:
        """As reported: the prompt is counted once, the choices add up."""
        completion = sum(speech.tokens for speech in self.speeches)
        reasoning = sum(len(speech.reasoning) for speech in self.speeches)
        return Usage(self.conversation.prompt_tokens, completion, reasoning).told(self.conversation.directives)

    def whole(self) -> Event:
        choices = [self._choice(index, speech) for index, speech in enumerate(self.speeches)]
        payload = self._header("chat.completion") | {"choices": choices, "usage": self.usage.payload()}
        return Event(payload, sum(speech.tokens for speech in self.speeches))

    def events(self) -> Iterator[Event]:
        """A role for each choice, a token per chunk and choice in turn, each choice's finish, and usage if asked."""
        silent: dict[str, Json] = {"usage": None} if wants_usage(self.conversation.request) else {}
        header = self._header("chat.completion.chunk")
        for choice, tokens in self._choices():
            yield Event(header | {"choices": [choice]} | silent, tokens)
        if silent:
            yield Event(header | {"choices": [], "usage": self.usage.payload()})

    def _choices(self) -> Iterator[tuple[Json, int]]:
        for index, speech in enumerate(self.speeches):
            content = None if speech.calls else ""
            yield _chunk(index, {"role": "assistant", "content": content, "refusal": None}), 0
        # The choices are alike, so they are equally long.
        for row in zip(*(self._deltas(speech) for speech in self.speeches), strict=True):
            for index, (delta, logprobs, tokens) in enumerate(row):
                yield _chunk(index, delta, logprobs), tokens
        for index, speech in enumerate(self.speeches):
            yield _chunk(index, {}, finish=speech.finish), 0

    def _deltas(self, speech: Speech) -> Iterator[tuple[Json, Json, int]]:
        for piece in speech.reasoning:
            yield {"reasoning_content": piece}, None, 1
        for piece in speech.content or ():
            yield {"content": piece}, self._logprobs((piece,)), 1
        for piece in speech.refusal or ():
            yield {"refusal": piece}, None, 1
        for index, call in enumerate(speech.calls):
            yield {"tool_calls": [{"index": index} | _call(call, "")]}, None, 1
            field = "input" if call.tool.is_custom else "arguments"
            for piece in call.input:
                yield {"tool_calls": [{"index": index, _kind(call): {field: piece}}]}, None, 1

    def _choice(self, index: int, speech: Speech) -> Json:
        message: dict[str, Json] = {
            "role": "assistant",
            "content": _joined(speech.content),
            "refusal": _joined(speech.refusal),
            "annotations": [],
        }
        if speech.reasoning:
            message["reasoning_content"] = _joined(speech.reasoning)
        if speech.calls:
            message["tool_calls"] = [_call(call, "".join(call.input)) for call in speech.calls]
        logprobs = self._logprobs(speech.content) if speech.content is not None else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": speech.finish}

    def _logprobs(self, content: Sequence[str]) -> Json:
        request = self.conversation.request
        if request.get("logprobs") is not True:
            return None
        return chat_logprobs(content, limit_of(request, "top_logprobs") or 0)

    def _header(self, kind: str) -> dict[str, Json]:
        return {
            "id": f"chatcmpl-{self.digest[:24]}",
            "object": kind,
            "created": CREATED,
            "model": self.conversation.request["model"],
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }


def _chunk(index: int, delta: Json, logprobs: Json = None, finish: str | None = None) -> Json:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _kind(call: ToolCall) -> str:
    return "custom" if call.tool.is_custom else "function"


def _call(call: ToolCall, text: str) -> dict[str, Json]:
    field = "input" if call.tool.is_custom else "arguments"
    return {"id": call.id, "type": _kind(call), _kind(call): {"name": call.tool.name, field: text}}


def _joined(spoken: Sequence[str] | None) -> str | None:
    return None if spoken is None else "".join(spoken)
