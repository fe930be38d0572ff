"""A request for a response, read as what a chat would be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.conversation import Conversation, converse
from llm_backend.upstream.echo.models import REASONING
from llm_backend.upstream.echo.objects.items import items_of, messages_of
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.request import limit_of
from llm_backend.upstream.echo.script import Refusal


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said, and what was said before."""

    given: Sequence[dict[str, Json]]
    """The items of the request."""
    before: Sequence[Json]
    """Those that were said before it."""
    above: Kept | None
    """The conversation that it belongs to."""
    chat: Conversation

    @property
    def items(self) -> list[Json]:
        return [*self.before, *self.given]


def read_talk(store: Store, fields: Mapping[str, Json]) -> Talk:
    """Raises Refusal where the request is broken, or goes on with what is not there."""
    given = items_of(_input(fields), store, "input")
    above = _above(store, fields.get("conversation"))
    before = _before(store, fields.get("previous_response_id"), above)
    chat = converse(_as_chat(fields, [*before, *given]), reasons=fields["model"] == REASONING)
    return Talk(given, before, above, chat)


def _input(fields: Mapping[str, Json]) -> Json:
    if fields.get("input") is None:
        raise Refusal("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    return fields["input"]


def _above(store: Store, named: Json) -> Kept | None:
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
