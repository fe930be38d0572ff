"""What this server does not do, or not now."""

from llm_backend.errors.root import LLMBackendError


class NotServed(LLMBackendError):
    """The document describes the operation; this server does not answer it."""

    code = "not_served"

    def __init__(self, message: str) -> None:
        super().__init__(message, should_retry=False)


class ClientLeft(LLMBackendError):
    """The client closed its connection, or stopped reading, before the answer was complete."""

    code = "client_disconnected"

    def __init__(self, message: str = "The client has gone.") -> None:
        super().__init__(message)


class Internal(LLMBackendError):
    """A fault of this server; the details are in its log, under the request's id."""

    code = "internal_error"

    def __init__(self, message: str = "The server had an error while processing your request.") -> None:
        super().__init__(message)


class Unavailable(LLMBackendError):
    """Not now; the client may try again."""

    code = "overloaded"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, is locked, or did not answer in time."""

    code = "database_unavailable"

    def __init__(self, message: str = "The database is not available.", *, retry_after_seconds: int = 2) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class LimitsAway(Unavailable):
    """The shared rate limits do not answer, and nothing may pass without them."""

    code = "limits_unavailable"

    def __init__(self, message: str = "The rate limits are not available.") -> None:
        super().__init__(message, retry_after_seconds=1)


class Overloaded(Unavailable):
    """More work than this process takes, or no upstream that may be tried."""

    def __init__(self, message: str = "The server is overloaded.", *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class Draining(Unavailable):
    """The server is shutting down."""

    code = "draining"

    def __init__(self, message: str = "The server is shutting down.") -> None:
        super().__init__(message, retry_after_seconds=5)
