"""Tools, and the choice among them, as a chat has them: all but the kind in a member that is named after it."""

from collections.abc import Mapping

from llm_backend.domain.responses.unsupported import kind_of, needed, unsupported_value, without_usual
from llm_backend.errors import Json

CLIENTS = frozenset({"function", "custom"})
"""Tools that the client runs; what runs the others, a chat has not."""
MODES = frozenset({"none", "auto", "required"})


def tool_fields(body: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of a chat that tell of tools; what says nothing where there are none is left out.

    Raises InvalidRequest.
    """
    tools, choice, parallel = body.get("tools"), body.get("tool_choice"), body.get("parallel_tool_calls")
    fields: dict[str, Json] = {}
    if tools:
        fields["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    if choice is not None and (tools or choice not in ("none", "auto")):
        fields["tool_choice"] = _choice(choice)
    if tools and parallel is not None:
        fields["parallel_tool_calls"] = parallel
    return fields


def _tool(tool: Mapping[str, Json], param: str) -> Json:
    kind = _client_kind(tool, param)
    told = without_usual(tool, param)
    if kind == "custom" and "format" in told:
        told["format"] = _format(told["format"], f"{param}.format")
    return {"type": kind, kind: told}


def _format(form: Mapping[str, Json], param: str) -> Json:
    if form.get("type") == "text":
        return form
    if form.get("type") == "grammar":
        return {"type": "grammar", "grammar": {name: form[name] for name in form if name != "type"}}
    raise unsupported_value(f"An input of {kind_of(form)}", f"{param}.type")


def _choice(choice: Json) -> Json:
    if isinstance(choice, str):
        if choice in MODES:
            return choice
        raise unsupported_value("This choice", "tool_choice")
    if choice.get("type") == "allowed_tools":
        tools, mode = needed(choice, "tools", list, "tool_choice"), needed(choice, "mode", str, "tool_choice")
        allowed = [_named(tool, f"tool_choice.tools[{index}]") for index, tool in enumerate(tools)]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    return _named(choice, "tool_choice")


def _named(tool: Mapping[str, Json], param: str) -> Json:
    kind = _client_kind(tool, param)
    return {"type": kind, kind: without_usual(tool, param)}


def _client_kind(tool: Mapping[str, Json], param: str) -> str:
    kind = needed(tool, "type", str, param)
    if kind in CLIENTS:
        return kind
    raise unsupported_value(f"A tool of {kind_of(tool)}", f"{param}.type")
