"""Which tools a conversation makes the echo model call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.conversation import Conversation
from llm_backend.upstream.echo.script import Refusal


@dataclass(frozen=True, slots=True)
class Tool:
    """A function, or a custom tool that takes text."""

    name: str
    parameters: Json
    is_custom: bool = False


Wish = tuple[Tool, Mapping[str, Json]]
"""A tool to be called, and the arguments that the prompt gave."""


def chosen(conversation: Conversation) -> list[Wish]:
    """The tools to call, in order: none once the conversation ends in results of tools."""
    tools = {tool.name: tool for tool in _offered(conversation.request)}
    choice = conversation.request.get("tool_choice")
    if conversation.results is not None or choice == "none":
        return []
    wishes: list[Wish] = [(_known(tools, name), given) for name, given in conversation.directives.tools]
    if not wishes and (forced := _forced(choice, tools)):
        wishes = [(forced, {})]
    return wishes[:1] if conversation.request.get("parallel_tool_calls") is False else wishes


def _offered(request: Mapping[str, Json]) -> Iterator[Tool]:
    tools = request.get("tools") or []
    if not isinstance(tools, list):
        raise Refusal("'tools' is a list.", param="tools", code="invalid_type")
    for index, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        described = tool.get(kind) if kind in ("function", "custom") else None
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise Refusal("A tool needs its type and name.", param=f"tools[{index}]", code="invalid_value")
        parameters = described.get("parameters") or {"type": "object"}
        yield Tool(described["name"], parameters, is_custom=kind == "custom")


def _forced(choice: Json, tools: Mapping[str, Tool]) -> Tool | None:
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return _allowed(choice.get("allowed_tools"), tools)
    if isinstance(choice, dict):
        return _known(tools, _name(choice))
    return next(iter(tools.values()), None) if choice == "required" else None


def _allowed(allowed: Json, tools: Mapping[str, Tool]) -> Tool | None:
    """The first of the tools that are allowed, where one of them is required."""
    named = allowed.get("tools") if isinstance(allowed, dict) else None
    if not isinstance(named, list) or not named:
        message = "Missing required parameter: 'tool_choice.allowed_tools.tools'."
        raise Refusal(message, param="tool_choice.allowed_tools.tools", code="missing_required_parameter")
    return _known(tools, _name(named[0])) if allowed.get("mode") == "required" else None


def _name(choice: Json) -> str:
    described = (choice.get("function") or choice.get("custom")) if isinstance(choice, dict) else None
    return str(described.get("name")) if isinstance(described, dict) else ""


def _known(tools: Mapping[str, Tool], name: str) -> Tool:
    if name not in tools:
        raise Refusal(f"No tool is named {name[:64]!r}.", param="tool_choice", code="invalid_value")
    return tools[name]
