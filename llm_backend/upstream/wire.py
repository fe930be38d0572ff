"""What passes between this server and whoever answers: the same for a real upstream and for echo."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from llm_backend.upstream.bodies import BODY_LIMIT
from llm_backend.upstream.forms import Form


class Outbound(NamedTuple):
    """One call to an upstream."""

    method: str
    path: str
    """Below the upstream's base URL, encoded: `/chat/completions`."""
    body: bytes | Form | None = None
    """JSON of our own serialisation, or a form, which whoever asks closes; None on a GET."""
    stream: bool = False
    headers: Mapping[str, str] = MappingProxyType({})
    """Those of the client that are passed up, already filtered, lower case."""
    deadline: float | None = None
    """When the answer has to be over, by the running loop's clock, where that is sooner than our own limit."""
    query: str = ""
    """Encoded, without its `?`."""
    takes_whole: bool = False
    """Whether an answer in JSON is as good, where `stream` asks for events."""
    accept: str | None = None
    """The media type that is asked for, whatever the client says; None for events where `stream`, else for JSON."""


class Reply(Protocol):
    """An upstream's answer: the status line and headers are here, the body is still on its way.

    Every method raises `UpstreamFailed` where the upstream breaks off, stalls or sends too much.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers the upstream sent, lower case."""
        ...

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body. Raises UpstreamInvalid where it passes `limit` bytes."""
        ...

    def arrived(self) -> bytes | None:
        """The whole body, where all of it is here and none of it was read; None where it is on its way, or will be."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, in pieces of any size."""
        ...

    async def close(self) -> None:
        """Let go of the answer: keeps the connection where it was read to its end, cuts it otherwise. Never raises."""
        ...


class Transport(Protocol):
    """A way to an upstream: HTTP, or the echo model in this process. Knows no retry, no deadline, no circuit."""

    async def send(self, call: Outbound) -> Reply:
        """The upstream's answer to `call`, whatever its status.

        Raises `UpstreamUnreachable` with `outcome_unknown=False` only where no byte of the request can have been taken.
        """
        ...

    async def close(self) -> None: ...
