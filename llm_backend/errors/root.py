"""What every error has."""

from typing import Any, ClassVar

Json = Any
"""A JSON value as parsed: dict, list, str, int, float, bool or None."""

MESSAGE_LIMIT = 300
"""No message is longer, in characters, nor what it says of a place: neither may become a way to send data back."""


class LLMBackendError(Exception):
    """Base of every error raised on purpose. Its message is shown to the caller."""

    type: ClassVar[str] = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        if code is not None:
            self.code = code
        self.retry_after_seconds = retry_after_seconds
        self.should_retry = should_retry
        """What `x-should-retry` tells the SDKs; None leaves it to their own rule."""

    def envelope(self) -> Json:
        """Write this error as OpenAI's `ErrorResponse`."""
        message, param = str(self)[:MESSAGE_LIMIT], self.param and self.param[:MESSAGE_LIMIT]
        return {"error": {"message": message, "type": self.type, "param": param, "code": self.code}}
