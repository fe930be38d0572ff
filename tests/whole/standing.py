"""The server as an operator runs it: a process of its own, started by its command, known by what it prints."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llm_backend.errors import Json

SECRET_KEY = "a-test-secret-of-more-than-32-bytes"
ADMIN_TOKEN = "admin-token-for-tests-of-32-bytes!"
COMMAND = (sys.executable, "-m", "llm_backend")

_OURS = re.compile(
    r"(OPENAI_|LLM_BACKEND|DATABASE_|REDIS_|ADMIN_|AUTH|SECRET_|DEFAULT_MODEL|HOST$|PORT$|WORKERS$|LOG_LEVEL$|DOCS$)"
)
_LISTENING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


@dataclass(slots=True)
class Standing:
    """A server that runs in a process."""

    process: "subprocess.Popen[str]"
    folder: Path
    root: str = ""
    key: str = ""
    """Of the account that was made for the test; empty where it made none."""
    lines: list[str] = field(default_factory=list)
    """What it has printed so far, standard output and errors together."""
    _known: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def stop(self) -> None:
        """Return when it has ended and `lines` are all that it said."""
        self.process.terminate()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if not self.root and (found := _LISTENING.search(line)):
                self.root = found[1]
                self._known.set()
        self._known.set()

    def wait(self) -> None:
        """Return when it listens. Raises AssertionError with what it said where it ends instead."""
        self._known.wait()
        assert self.root, "".join(self.lines)

    @property
    def headers(self) -> dict[str, str]:
        """What an authenticated client sends."""
        return {"authorization": f"Bearer {self.key}"}


def environment(**added: str) -> dict[str, str]:
    """The environment of this process without anything that would set up a server."""
    return {name: value for name, value in os.environ.items() if not _OURS.match(name)} | added


def commanded(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """What the command says from start to end, in `folder`, with `variables` and none of the caller's own."""
    return subprocess.run(  # noqa: S603 (our own command)
        [*COMMAND, *words], cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False
    )


def told(folder: Path, *words: str, **variables: str) -> Json:
    """What the command prints as JSON."""
    done = commanded(folder, *words, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def standing(
    folder: Path, *, command: tuple[str | Path, ...] = COMMAND, env: dict[str, str] | None = None, **variables: str
) -> Iterator[Standing]:
    """Serve from `folder` on a free port. `env`: the environment as a whole, in place of `variables`."""
    given = environment(**variables) if env is None else env
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [*command, "serve", "--port", "0"],
        cwd=folder,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Standing(process, folder)
    try:
        server.wait()
        yield server
    finally:
        server.stop()
        assert process.stdout
        process.stdout.close()
