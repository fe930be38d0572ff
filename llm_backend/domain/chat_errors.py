"""What goes wrong with chats, in the words that their clients know."""

from http import HTTPStatus

from llm_backend.errors import (
    BudgetExhausted,
    InvalidRequest,
    LLMBackendError,
    NotFound,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)

PASSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""What an upstream may answer to the question itself; another 4xx is about the model, which the client did not name."""


class NoSuchChat(NotFound):
    """There is none of that number, or it is another account's."""

    code = "chat_not_found"

    def __init__(self, chat_id: int) -> None:
        super().__init__(f"Chat with id {chat_id} does not exist", param="chat_id")


class BudgetReached(InvalidRequest):
    """Nothing is left for another question."""

    code = "insufficient_quota"

    def __init__(self) -> None:
        super().__init__("Account has reached its budget", should_retry=False)


class UnknownModelType(InvalidRequest):
    """No kind of model is called so."""

    def __init__(self, model_type: str) -> None:
        shown = model_type if model_type.isprintable() else "…"
        super().__init__(f"Model type {shown} is not supported", param="model_type")


def told(error: LLMBackendError) -> LLMBackendError:
    """`error` in the words that clients of chats know, where they know any."""
    if isinstance(error, BudgetExhausted) and not error.should_retry:
        return BudgetReached()
    if isinstance(error, UpstreamTimedOut):
        return UpstreamTimedOut("OpenAI timed out.", should_retry=error.should_retry)
    if not isinstance(error, UpstreamRejected):
        return error
    if error.upstream_status == HTTPStatus.TOO_MANY_REQUESTS:
        return UpstreamRejected(
            "OpenAI rate limit hit.",
            upstream_status=error.upstream_status,
            error_type=error.error_type,
            code=error.code,
            retry_after_seconds=error.retry_after_seconds,
            should_retry=error.should_retry,
        )
    return error if error.upstream_status in PASSED else UpstreamFailed(str(error), should_retry=False)
