"""Responses: the same words as in a chat, as items, kept unless `store` is false."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.chat import Speech, ToolCall, speak
from llm_backend.upstream.echo.conversation import Conversation, converse
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.models import REASONING
from llm_backend.upstream.echo.objects.conversations import append
from llm_backend.upstream.echo.objects.items import items_of, messages_of
from llm_backend.upstream.echo.objects.response_events import told
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request, limit_of
from llm_backend.upstream.echo.script import Refusal
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
    given: Sequence[dict[str, Json]]
    """The items of the request."""
    before: Sequence[Json]
    """Those that were said before it."""
    above: Kept | None
    """The conversation that it belongs to."""
    talk: Conversation
    speech: Speech
    id: str
    output: Sequence[dict[str, Json]]

    @property
    def usage(self) -> Json:
        usage = Usage(self.talk.prompt_tokens, self.speech.tokens, len(self.speech.reasoning))
        counts = usage.told(self.talk.directives)
        return {
            "input_tokens": counts.prompt,
            "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
            "output_tokens": counts.completion,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.prompt + counts.completion,
        }

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
            "conversation": None if self.above is None else {"id": self.above.payload["id"]},
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
            self.store.put(Kept(path, payload, history=[*self.before, *self.given, *self.output]))
            for item in self.given:
                self.store.put(Kept(f"{path}/input_items/{item['id']}", item))
        if self.above is not None:
            append(self.store, self.above.path, [*self.given, *self.output])


def respond(store: Store, request: Request) -> Prepared:
    """Read and answer. Raises Refusal where the request is broken."""
    fields = request.fields
    given = items_of(_input(fields), store, "input")
    above = _conversation(store, fields.get("conversation"))
    before = _before(store, fields.get("previous_response_id"), above)
    talk = converse(_as_chat(fields, [*before, *given]), reasons=fields["model"] == REASONING)
    (speech,) = speak(talk, request.digest)
    name = store.new_id("resp_")
    answer = Answer(store, fields, given, before, above, talk, speech, name, _output(speech, store))
    return Prepared(
        answer.whole, talk.directives, talk.prompt_tokens, answer.events, streams=request.streams, ends_in_done=False
    )


def _input(fields: Mapping[str, Json]) -> Json:
    if fields.get("input") is None:
        raise Refusal("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    return fields["input"]


def _conversation(store: Store, named: Json) -> Kept | None:
    if named is None:
        return None
    return store.get(f"/conversations/{named.get('id') if isinstance(named, dict) else named}")


def _before(store: Store, previous: Json, above: Kept | None) -> Sequence[Json]:
    if previous is None:
        return [] if above is None else [kept.payload for kept in store.within(f"{above.path}/items")]
    if above is not None:
        message = "'previous_response_id' and 'conversation' exclude each other."
        raise Refusal(message, param="previous_response_id", code="mutually_exclusive_parameters")
    path = f"/responses/{previous}"
    if not store.has(path):
        message = "There is no previous response with that id."
        raise Refusal(message, param="previous_response_id", code="previous_response_not_found")
    return store.get(path).history


def _as_chat(fields: Mapping[str, Json], items: Sequence[Json]) -> dict[str, Json]:
    """What a chat would be asked instead."""
    instructions = fields.get("instructions")
    first = [{"role": "developer", "content": instructions}] if isinstance(instructions, str) else []
    tools = fields.get("tools")
    asked: dict[str, Json] = {
        "model": fields["model"],
        "messages": [*first, *messages_of(items)] or [{"role": "user", "content": ""}],
        "max_completion_tokens": limit_of(fields, "max_output_tokens"),
        "tools": [_nested(tool) for tool in tools if _is_ours(tool)] if isinstance(tools, list) else [],
        "parallel_tool_calls": fields.get("parallel_tool_calls"),
    }
    choice = fields.get("tool_choice")
    asked["tool_choice"] = choice if isinstance(choice, str) else _chosen(choice)
    text = fields.get("text")
    wanted = text.get("format") if isinstance(text, dict) else None
    if isinstance(wanted, dict):
        is_schema = wanted.get("type") == "json_schema"
        asked["response_format"] = {"type": "json_schema", "json_schema": wanted} if is_schema else wanted
    return {name: value for name, value in asked.items() if value is not None}


def _is_ours(tool: Json) -> bool:
    """Whether it is called by the client; what OpenAI itself runs is left alone."""
    return isinstance(tool, dict) and tool.get("type") in ("function", "custom")


def _chosen(choice: Json) -> Json:
    """A choice of tools that the client calls, as a chat has it; None for any other."""
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools" and isinstance(choice.get("tools"), list):
        tools = [_nested(tool) for tool in choice["tools"] if _is_ours(tool)]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode"), "tools": tools}}
    return _nested(choice) if _is_ours(choice) else None


def _nested(tool: Mapping[str, Json]) -> Json:
    """As a chat has it: all but the kind in a member named after that."""
    return {"type": tool["type"], tool["type"]: {name: tool[name] for name in tool if name != "type"}}


def _output(speech: Speech, store: Store) -> list[dict[str, Json]]:
    output: list[dict[str, Json]] = []
    if speech.reasoning:
        summary = [{"type": "summary_text", "text": "".join(speech.reasoning)}]
        output.append({"id": store.new_id("rs_"), "type": "reasoning", "summary": summary})
    output.extend(_called(call, store) for call in speech.calls)
    if (said := _said(speech)) is not None:
        status = "incomplete" if speech.finish in _REASONS else "completed"
        message = {"id": store.new_id("msg_"), "type": "message", "role": "assistant"}
        output.append(message | {"status": status, "content": [said]})
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
        return {"id": store.new_id("ctc_"), "type": "custom_tool_call", "input": text} | named
    return {"id": store.new_id("fc_"), "type": "function_call", "arguments": text, "status": "completed"} | named
