"""A request for a response, as one for a chat: for upstreams that know nothing else."""

from collections.abc import Mapping

from llm_backend.domain.responses.chat_items import Dialogue
from llm_backend.domain.responses.chat_tools import tool_fields
from llm_backend.domain.responses.unsupported import kind_of, unsupported_parameter, unsupported_value
from llm_backend.errors import InvalidRequest, Json

UNTOLD = frozenset({"store", "truncation"})
"""What upstreams that have responses are told, and a chat is not: this server does it itself."""

REFUSED = frozenset({"access_programs", "context_management", "image", "moderation", "prompt"})
"""What nobody would do for a chat."""

TRANSLATED = frozenset(
    {
        *("instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens"),
        *("reasoning", "text", "top_logprobs", "include", "stream_options"),
        # It counts calls of tools that the upstream runs, of which a chat has none.
        "max_tool_calls",
    }
)

LOGPROBS = "message.output_text.logprobs"
"""The one of `include` that a chat is asked for: the others tell of items that it never makes, or that are ours."""


def chat_body(body: Mapping[str, Json]) -> dict[str, Json]:
    """The chat that is asked for what the stateless `body`, valid by its schema, asks for; null is as absent.

    Fields that nobody knows are passed on. Raises InvalidRequest for whatever a chat cannot carry.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name in REFUSED:
            raise unsupported_parameter(name)
    return {
        **{name: value for name, value in given.items() if name not in UNTOLD and name not in TRANSLATED},
        "messages": _messages(given),
        **tool_fields(given),
        **({"max_completion_tokens": given["max_output_tokens"]} if "max_output_tokens" in given else {}),
        **_reasoning(given.get("reasoning", {})),
        **_text(given.get("text", {})),
        **_logprobs(given),
        **_stream_options(given.get("stream_options", {})),
    }


def _messages(given: Mapping[str, Json]) -> list[Json]:
    dialogue = Dialogue()
    for name, role in (("instructions", "system"), ("input", "user")):
        said = given.get(name, ())
        if isinstance(said, str):
            dialogue.say(role, said)
        else:
            dialogue.take(said, name)
    messages = dialogue.messages()
    if not messages:
        raise InvalidRequest("There is nothing to answer.", param="input", code="missing_required_parameter")
    return messages


def _reasoning(wanted: Mapping[str, Json]) -> dict[str, Json]:
    """How hard to think; a summary is not asked for, as what a chat shows of its reasoning is shown."""
    _check_names(wanted, {"effort", "summary", "generate_summary"}, "reasoning")
    effort = wanted.get("effort")
    return {} if effort is None else {"reasoning_effort": effort}


def _text(wanted: Mapping[str, Json]) -> dict[str, Json]:
    _check_names(wanted, {"format", "verbosity"}, "text")
    form, verbosity = wanted.get("format"), wanted.get("verbosity")
    fields = {} if form is None else {"response_format": _response_format(form)}
    return fields if verbosity is None else {**fields, "verbosity": verbosity}


def _response_format(form: Mapping[str, Json]) -> Json:
    kind = form.get("type")
    if kind in ("text", "json_object"):
        return form
    if kind == "json_schema":
        schema = {name: value for name, value in form.items() if name != "type" and value is not None}
        return {"type": kind, kind: schema}
    raise unsupported_value(f"A format of {kind_of(form)}", "text.format.type")


def _logprobs(given: Mapping[str, Json]) -> dict[str, Json]:
    """Those of a response are told to whoever includes them; how many of them there are alone asks for none."""
    most = given.get("top_logprobs")
    if LOGPROBS not in given.get("include", ()):
        return {}
    return {"logprobs": True} | ({} if most is None else {"top_logprobs": most})


def _stream_options(wanted: Mapping[str, Json]) -> dict[str, Json]:
    _check_names(wanted, {"include_obfuscation"}, "stream_options")
    obfuscates = wanted.get("include_obfuscation")
    return {} if obfuscates is None else {"stream_options": {"include_obfuscation": obfuscates}}


def _check_names(fields: Mapping[str, Json], known: set[str], param: str) -> None:
    """Raises InvalidRequest where `fields`, which stand at `param`, have another one that says something."""
    for name, value in fields.items():
        if name not in known and value is not None:
            raise unsupported_parameter(f"{param}.{name}")
