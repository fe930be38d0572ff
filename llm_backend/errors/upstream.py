"""What goes wrong with those who answer for us."""

from llm_backend.errors.root import Json, LLMBackendError


class RanAway(LLMBackendError):
    """The upstream went on past what was reserved for its answer."""

    type = "insufficient_quota"
    code = "budget_exhausted"

    def __init__(self, message: str = "The upstream went on past the answer's limit, and was cut.") -> None:
        super().__init__(message)


class UpstreamFailed(LLMBackendError):
    """The upstream did not answer as it should.

    `outcome_unknown`: the request may have been worked on, so it may cost something.
    `retriable`: another attempt may help and cannot cost twice.
    `upstream_status`: the status it sent, None where it sent none.
    """

    code: str | None = "upstream_error"

    def __init__(  # noqa: PLR0913 (what may be said of a failure, each by name)
        self,
        message: str,
        *,
        outcome_unknown: bool = False,
        retriable: bool = False,
        upstream_status: int | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, should_retry=should_retry)
        self.outcome_unknown = outcome_unknown
        self.retriable = retriable
        self.upstream_status = upstream_status


class UpstreamUnreachable(UpstreamFailed):
    """No connection to the upstream, or it broke."""

    code = "upstream_unreachable"


class UpstreamTimedOut(UpstreamFailed):
    """The upstream did not begin, go on or end in time."""

    code = "upstream_timeout"


class UpstreamBroken(UpstreamFailed):
    """The upstream answered with a server error."""


class UpstreamAuthFailed(UpstreamFailed):
    """The upstream refused this server's own credentials; its text is never passed on."""

    code = "upstream_auth_failed"

    def __init__(self, *, upstream_status: int) -> None:
        message = "The upstream refused this server's credentials; its operator has to mend that."
        super().__init__(message, upstream_status=upstream_status, should_retry=False)


class UpstreamInvalid(UpstreamFailed):
    """What the upstream sent is not an answer: wrong media type, broken JSON or events, too large."""

    code = "upstream_invalid_response"


class UpstreamRejected(UpstreamFailed):
    """The upstream refused the request for a reason of the request's own; its words are redacted and cut."""

    def __init__(  # noqa: PLR0913 (an error of OpenAI has these five parts, and its status)
        self,
        message: str,
        *,
        upstream_status: int,
        error_type: str,
        code: str | None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            upstream_status=upstream_status,
            retry_after_seconds=retry_after_seconds,
            should_retry=should_retry,
        )
        self.param = param
        self.code = code
        self.error_type = error_type

    def envelope(self) -> Json:
        """As the upstream put it: its message (up to a kilobyte), type, param and code."""
        error = {"message": str(self)[:1024], "type": self.error_type, "param": self.param, "code": self.code}
        return {"error": error}
