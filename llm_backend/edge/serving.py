"""Where and how to serve: plain values, for the process that only starts others too, which loads no server."""

from dataclasses import dataclass, field
from typing import Literal

Parser = Literal["httptools", "h11"]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take. Times in seconds."""

    head_seconds: float = 10.0
    """From the connection, or a request's first byte, to the end of its headers."""
    linger_seconds: float = 2.0
    """How long a refused client is listened to, so that it can read the refusal."""
    stall_seconds: float = 60.0
    """How long a client may leave an answer unread."""
    per_address: int | None = 1024
    """Connections of one address; None behind a proxy, which has one address for all."""


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """How long the server waits, in seconds."""

    keep_alive_seconds: int = 65
    """For the next request on an idle connection: longer than the pools of clients and proxies keep one."""
    grace_seconds: float = 20.0
    """For streams to end by themselves after the first signal."""
    cut_seconds: int = 3
    """For streams that were told to end, and for what they owe to be written."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how to serve."""

    host: str = "127.0.0.1"
    port: int = 8000
    parser: Parser = "httptools"
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    times: ServerTimes = field(default_factory=ServerTimes)
