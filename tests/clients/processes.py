"""Clients that run as processes of their own, beside a server in the test's loop."""

import asyncio
import os
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

_OURS = ("OPENAI_", "LLM_BACKEND", "DATABASE_", "REDIS_", "ADMIN_", "AUTH", "SECRET_", "DEFAULT_MODEL", "HOST", "PORT")


@dataclass(frozen=True, slots=True)
class Finished:
    code: int | None
    out: str
    err: str


def fresh_environment(**added: str) -> dict[str, str]:
    """The environment of this process without anything that would set up a server or a client."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | added


async def finished(*command: str | Path, cwd: Path, stdin: str = "", **environment: str) -> Finished:
    """What `command` says from start to end, given `stdin` and `environment`."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=fresh_environment(**environment), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate(stdin.encode())
    return Finished(process.returncode, out.decode(), err.decode())
