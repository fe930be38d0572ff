"""The servers of one run, each started when it is first needed and ended with the run."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from benchmarks import postgres, servers
from benchmarks.command import Asked
from benchmarks.servers import Server
from benchmarks.whole import MANY_KEYS


class Stage:
    """Whoever is measured."""

    def __init__(self, told: Asked, folder: Path, stack: ExitStack) -> None:
        """`stack` ends what was started."""
        self.folder = folder
        self._told = told
        self._stack = stack

    @cached_property
    def upstream(self) -> Server:
        started = self._stack.enter_context(servers.upstream(self.folder / "upstream", self._told.upstream_port))
        sys.stderr.write(f"The upstream answers at {started.url}.\n")
        return started

    @cached_property
    def relay(self) -> Server:
        return self._stack.enter_context(servers.bare_relay(self.folder / "relay", self.upstream.url))

    @cached_property
    def on_sqlite(self) -> Server:
        keys = 1 if self._told.is_quick else MANY_KEYS
        return self._stack.enter_context(self._served("sqlite", None, 1, keys))

    @cached_property
    def on_postgresql(self) -> list[Server]:
        """With one worker and with two, each with a database of its own; nothing where none is reachable or wanted."""
        if not self._has_postgresql:
            return []
        return [self._stack.enter_context(self._on_postgresql(workers, MANY_KEYS)) for workers in (1, 2)]

    def fresh(self) -> Iterator[AbstractContextManager[Server]]:
        """Servers that have answered nothing yet, to be started one after the other."""
        yield self._served("fresh", None, 1, 1)
        if self._has_postgresql:
            yield self._on_postgresql(2, 1)

    @cached_property
    def _has_postgresql(self) -> bool:
        if self._told.is_quick:
            return False
        found = postgres.is_reachable(self._told.postgresql)
        if not found:
            sys.stderr.write("No PostgreSQL answers: it is left out.\n")
        return found

    def _served(self, name: str, database_url: str | None, workers: int, keys: int) -> AbstractContextManager[Server]:
        home = self.folder / name
        return servers.llm_backend(home, self.upstream.url, database_url=database_url, workers=workers, keys=keys)

    @contextmanager
    def _on_postgresql(self, workers: int, keys: int) -> Iterator[Server]:
        with (
            postgres.database(self._told.postgresql) as url,
            self._served(url.rpartition("/")[2], url, workers, keys) as server,
        ):
            yield server
