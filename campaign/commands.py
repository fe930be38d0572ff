"""How processes of this checkout are started, whatever the caller's environment says."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.clients.processes import fresh_environment

ROOT = Path(__file__).parent.parent


def python_module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def environment_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that reads these settings and no others."""
    return fresh_environment(PYTHONPATH=str(ROOT), **settings)


def free_ports(number: int) -> list[int]:
    """So many of 127.0.0.1, all different."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports
