"""Everyone who may be asked, by name."""

from collections.abc import Iterable, Iterator

from llm_backend.errors import Json
from llm_backend.upstream.upstream import Upstream


class Upstreams:
    """The configured upstreams, in the order of the configuration. They may change while requests run."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        """At least one; the first is the one that is asked where nothing else says who."""
        self._known = {upstream.name: upstream for upstream in upstreams}
        self._leaving: list[Upstream] = []

    def get(self, name: str) -> Upstream:
        """The upstream of that name. Raises KeyError."""
        return self._known[name]

    @property
    def default(self) -> Upstream:
        return next(iter(self))

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._known.values())

    async def replace(self, upstreams: Iterable[Upstream]) -> None:
        """Have these from now on; one that is no longer among them closes when the last answer of its own has ended."""
        before, self._known = self._known.values(), {upstream.name: upstream for upstream in upstreams}
        stay = set(self)
        gone = [upstream for upstream in before if upstream not in stay]
        self._leaving = [*(upstream for upstream in self._leaving if upstream.is_busy), *gone]
        for upstream in gone:
            await upstream.retire()

    def health(self) -> list[Json]:
        """Of each: its name, its circuit's state, and its last fault."""
        return [upstream.health() for upstream in self]

    async def close(self) -> None:
        for upstream in (*self, *self._leaving):
            await upstream.close()
