"""Responses: the same words as in a chat, as items, kept unless `store` is false."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.chat import Speech, ToolCall, speak
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.conversations import append
from llm_backend.upstream.echo.objects.response_events import told
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.objects.talks import Talk, read_talk
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request
from llm_backend.upstream.echo.usage import Usage

_REASONS: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by the finish reason that a chat has for it."""
_SHOWN: Mapping[str, Json] = {
    "background": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response shows of its request, and how where the request has none of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, before it is put on the wire."""

    store: Store
    fields: Mapping[str, Json]
    talk: Talk
    speech: Speech
    id: str
    output: Sequence[dict[str, Json]]

    @property
    def usage(self) -> Json:
        usage = Usage(self.talk.chat.prompt_tokens, self.speech.tokens, len(self.speech.reasoning))
        return usage_told(usage.told(self.talk.chat.directives))

    @property
    def begun(self) -> dict[str, Json]:
        """As it is shown before anything was said."""
        fields = {name: value for name, value in self.fields.items() if value is not None and name in _SHOWN}
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.store.moment(),
            "status": "in_progress",
            "model": self.fields["model"],
            "output": [],
            "error": None,
            "incomplete_details": None,
            "conversation": None if self.talk.above is None else {"id": self.talk.above.payload["id"]},
            "service_tier": "default",
            "usage": None,
            **_SHOWN,
            **fields,
        }

    def ended(self) -> dict[str, Json]:
        reason = _REASONS.get(self.speech.finish)
        return self.begun | {
            "status": "completed" if reason is None else "incomplete",
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": list(self.output),
            "usage": self.usage,
        }

    def whole(self) -> Event:
        payload = self.ended()
        self._keep(payload)
        return Event(payload, self.speech.tokens)

    def events(self) -> Iterator[Event]:
        """It is kept before its last event is told."""
        payload = self.ended()
        for event in told(self.begun, payload, self.speech):
            if event.usage is not None:
                self._keep(payload)
            yield event

    def _keep(self, payload: dict[str, Json]) -> None:
        if self.fields.get("store") is not False:
            path = f"/responses/{self.id}"
            self.store.put(Kept(path, payload, history=[*self.talk.before, *self.talk.given, *self.output]))
            for item in self.talk.given:
                self.store.put(Kept(f"{path}/input_items/{item['id']}", item))
        if self.talk.above is not None:
            append(self.store, self.talk.above.path, [*self.talk.given, *self.output])


def respond(store: Store, request: Request) -> Prepared:
    """Read and answer. Raises Refusal where the request is broken."""
    talk = read_talk(store, request.fields)
    (speech,) = speak(talk.chat, request.digest)
    answer = Answer(store, request.fields, talk, speech, store.new_id("resp_"), _output(speech, store))
    return Prepared(
        answer.whole,
        talk.chat.directives,
        talk.chat.prompt_tokens,
        answer.events,
        streams=request.streams,
        ends_in_done=False,
    )


def usage_told(usage: Usage) -> Json:
    """As responses have it."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
    }


def _output(speech: Speech, store: Store) -> list[dict[str, Json]]:
    output: list[dict[str, Json]] = []
    if speech.reasoning:
        summary = [{"type": "summary_text", "text": "".join(speech.reasoning)}]
        output.append({"id": store.new_id("rs_"), "type": "reasoning", "summary": summary})
    output.extend(_called(call, store) for call in speech.calls)
    if (said := _said(speech)) is not None:
        message = {"id": store.new_id("msg_"), "type": "message", "role": "assistant"}
        output.append(message | {"status": "completed", "content": [said]})
    if speech.finish in _REASONS and output and "status" in output[-1]:
        output[-1]["status"] = "incomplete"
    return output


def _said(speech: Speech) -> dict[str, Json] | None:
    if speech.refusal is not None:
        return {"type": "refusal", "refusal": "".join(speech.refusal)}
    if speech.content is not None:
        return {"type": "output_text", "text": "".join(speech.content), "annotations": [], "logprobs": []}
    return None


def _called(call: ToolCall, store: Store) -> dict[str, Json]:
    text = "".join(call.input)
    named = {"call_id": call.id, "name": call.tool.name}
    if call.tool.is_custom:
        return {"id": store.new_id("ctc_"), "type": "custom_tool_call", "input": text, "status": "completed"} | named
    return {"id": store.new_id("fc_"), "type": "function_call", "arguments": text, "status": "completed"} | named
