"""The servers that are measured, each started as an operator starts it: in its own folder, in nobody's environment."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
ACCOUNT = "bench"
BUDGET_TOKENS = 10**15
"""Of the account that asks: never used up, and counted with every request."""
UPSTREAM = "upstream, asked directly"
BARE_RELAY = "bare relay"
_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_STARTING_SECONDS = 60
Where = Callable[[str], str | None]
"""Where a server listens that has written this so far; None while it does not."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whoever answers chat completions."""

    name: str
    url: str
    """With its /v1."""
    keys: tuple[str, ...] = ("benchmarks",)
    process: int | None = None
    """None where it is not known: its CPU and memory are then not measured."""
    store: str | None = None
    """Of llm-backend, what keeps its books: SQLite or PostgreSQL."""
    database: str | None = None
    """The name of its PostgreSQL database."""


def environment(**added: str) -> dict[str, str]:
    """Nothing of the caller's but what finds programs and this checkout's modules."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | added


def _said(log: str, workers: int = 1) -> str | None:
    """The address that as many processes have said; None so far."""
    found = _RUNNING.findall(log)
    return found[-1] if len(found) == workers else None


@contextmanager
def running(
    folder: Path, *command: str, variables: Mapping[str, str] | None = None, where: Where = _said
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A Python module that serves, and where, as `where` finds it in what the module writes. Ended with the context.

    What it writes goes into the file `log` of `folder`: a log costs its writer what it costs on a disk.
    """
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 (our own modules)
            [sys.executable, "-m", *command],
            cwd=folder, env=environment(**variables or {}), stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process, _address(process, log, where)
    finally:
        process.terminate()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path, where: Where) -> str:
    latest = time.monotonic() + _STARTING_SECONDS
    while not (found := where(log.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > latest:
            raise RuntimeError(f"A server has not started. It said: {log.read_text(errors='replace')}")
        time.sleep(0.005)
    return found


@contextmanager
def upstream(folder: Path, port: int = 0) -> Iterator[Server]:
    """The stand-in, which can be asked directly too."""
    with running(folder, "benchmarks.upstream", str(port)) as (process, url):
        yield Server(UPSTREAM, f"{url}/v1", process=process.pid)


@contextmanager
def bare_relay(folder: Path, upstream_url: str) -> Iterator[Server]:
    with running(folder, "benchmarks.relay", upstream_url) as (process, url):
        yield Server(BARE_RELAY, f"{url}/v1", process=process.pid)


@contextmanager
def llm_backend(
    folder: Path, upstream_url: str, *, database_url: str | None = None, workers: int = 1, keys: int = 1
) -> Iterator[Server]:
    """What `llm-backend serve` starts, with no setting but where the upstream and the database are.

    Keys, validation, ledger, limits and access log are thereby as they are born. The account has a budget.
    """
    folder.mkdir()
    variables = settings(upstream_url, database_url)
    if database_url:
        commanded(folder, variables, "llm_backend", "db", "upgrade")
    command = ("llm_backend", "serve", "--port", "0", "--workers", str(workers))
    with running(folder, *command, variables=variables, where=partial(_said, workers=workers)) as (process, url):
        made = _keys(folder, variables, keys)
        store = "PostgreSQL" if database_url else "SQLite"
        name = f"llm-backend, {store}" + (f", {workers} workers" if workers > 1 else "")
        database = database_url.rpartition("/")[2] if database_url else None
        yield Server(name, f"{url}/v1", made, process.pid, store, database)


def settings(upstream_url: str, database_url: str | None = None) -> dict[str, str]:
    """SQLite in the working folder where no database is named; PostgreSQL needs a secret of its own."""
    born = {"OPENAI_BASE_URL": upstream_url, "OPENAI_API_KEY": "sk-benchmarks"}
    if database_url is None:
        return born
    return born | {"DATABASE_URL": database_url, "SECRET_KEY": "benchmarks-secret-of-more-than-32-bytes"}


def _keys(folder: Path, variables: Mapping[str, str], number: int) -> tuple[str, ...]:
    made = commanded(
        folder, variables, "llm_backend", "accounts", "create", ACCOUNT, "--budget", str(BUDGET_TOKENS), "--json"
    )
    further = commanded(folder, variables, "benchmarks.keys", ACCOUNT, str(number - 1)) if number > 1 else "[]"
    return (json.loads(made)["api_key"], *json.loads(further))


def commanded(folder: Path, variables: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603 (our own modules)
        [sys.executable, "-m", *command],
        cwd=folder, env=environment(**variables), check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout
