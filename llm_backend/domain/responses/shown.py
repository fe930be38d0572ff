"""What a response shows: what it was asked, what came of it, and what that cost."""

from collections.abc import Mapping
from types import UnionType
from typing import Literal, NamedTuple

from llm_backend.domain.usage import Usage
from llm_backend.errors import Json

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]

ASKED: Mapping[str, Json] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What it shows of the request, and how where that has none of it and the upstream does not say."""

OURS = frozenset(
    {
        *("id", "object", "created_at", "completed_at", "status", "error", "incomplete_details", "output", "usage"),
        *("background", "conversation", "previous_response_id", "store", "metadata", "model", "truncation", "include"),
    }
)
"""What an upstream's own response does not decide."""


_KINDS: Mapping[str, type | UnionType] = {
    "instructions": str | list,
    "max_output_tokens": int,
    "max_tool_calls": int,
    "parallel_tool_calls": bool,
    "prompt": dict,
    "prompt_cache_key": str,
    "prompt_cache_retention": str,
    "reasoning": dict,
    "safety_identifier": str,
    "service_tier": str,
    "temperature": int | float,
    "text": dict,
    "tool_choice": str | dict,
    "tools": list,
    "top_logprobs": int,
    "top_p": int | float,
    "user": str,
}
"""What an upstream's own response may say of what is known here; else it decides that neither."""


class Outcome(NamedTuple):
    """How a response ended."""

    status: Status
    reason: str | None = None
    """Of one that is incomplete."""
    error: Json = None
    """Of one that failed: its `code` and its `message`."""


QUEUED = Outcome("queued")
IN_PROGRESS = Outcome("in_progress")


def asked(request: Mapping[str, Json], upstream: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """What a response shows of its request; where that says nothing, what an `upstream` made of it."""
    said = {name: value for name, value in request.items() if value is not None and name in ASKED}
    made = {name: value for name, value in (upstream or {}).items() if _decides(name, value)}
    shown = {**ASKED, **made, **said}
    shown["text"] = {**ASKED["text"], **(shown["text"] or {})}
    shown["reasoning"] = {**ASKED["reasoning"], **(shown["reasoning"] or {})}
    shown["tools"] = [_tool(tool) for tool in shown["tools"] or ()]
    return shown


def _decides(name: str, value: Json) -> bool:
    """Whether an upstream's own response decides what is shown under this name."""
    kind = _KINDS.get(name, object)
    is_truth = isinstance(value, bool) and kind not in {bool, object}
    return name not in OURS and value is not None and isinstance(value, kind) and not is_truth


def _tool(tool: Json) -> Json:
    """With the fields that a function has in an answer."""
    if isinstance(tool, dict) and tool.get("type") == "function":
        return {"parameters": None, "strict": None, **tool}
    return tool


def usage(raw: Json) -> Json:
    """What an upstream says it used, as a response says it; None where it says nothing."""
    used = Usage.reported(raw)
    return None if used is None else used_so(used, _cache_written(raw))


def used_so(used: Usage, cache_written: int = 0) -> dict[str, Json]:
    """So many tokens, as a response says it."""
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": cache_written},
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }


def _cache_written(raw: Json) -> int:
    details = raw.get("input_tokens_details") or raw.get("prompt_tokens_details")
    told = details.get("cache_write_tokens") if isinstance(details, dict) else None
    return told if isinstance(told, int) else 0
