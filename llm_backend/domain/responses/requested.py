"""What no request for a response may be, whoever is to answer it."""

from collections.abc import Mapping

from llm_backend.domain.responses.draft import Draft
from llm_backend.errors import InvalidRequest, Json

CHATS_OWN = frozenset(
    {
        *("messages", "response_format", "verbosity", "reasoning_effort", "max_completion_tokens", "logprobs"),
        *("n", "modalities", "audio", "functions", "function_call"),
    }
)
"""A chat's words for what a request for a response says otherwise, or for what no response could answer."""


def refuse_chats_own(request: Mapping[str, Json]) -> None:
    """Raises InvalidRequest for a field of chats. Null is as absent."""
    for name, value in request.items():
        if name in CHATS_OWN and value is not None:
            raise InvalidRequest("This is a field of chats, not of responses.", param=name, code="unknown_parameter")


def refuse_silent(draft: Draft) -> None:
    """Raises InvalidRequest where nothing is given, and nothing was said before; a stored prompt may say it all."""
    if draft.given or draft.before.items or draft.request.get("prompt") is not None:
        return
    message = "There is nothing to answer: give an 'input', a 'previous_response_id', a 'conversation' or a 'prompt'."
    raise InvalidRequest(message, param="input", code="missing_required_parameter")
