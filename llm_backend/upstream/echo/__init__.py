"""The built-in upstream: deterministic, offline, on the same wire as a real one."""

from llm_backend.upstream.echo.calls import Call, Ending
from llm_backend.upstream.echo.core import Echo
from llm_backend.upstream.echo.transport import EchoTransport

__all__ = ["Call", "Echo", "EchoTransport", "Ending"]
