"""What was made and can be asked for again: in memory, bounded, gone with the process."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.chat_wire import CREATED
from llm_backend.upstream.echo.script import Refusal

MOST_OBJECTS = 1_000
MOST_BYTES = 64 * 1024 * 1024
_OVERHEAD = 256
"""Bytes that an object takes besides what it says."""


@dataclass(slots=True)
class Kept:
    """One object."""

    path: str
    """Where it is found: `/vector_stores/vs_1/files/file-1`."""
    payload: dict[str, Json]
    """As it is shown."""
    content: tuple[bytes, ...] = ()
    """In pieces, so that none is copied to be joined."""
    history: Sequence[Json] = ()
    """Of a response: all items that were said up to its end."""

    @property
    def size(self) -> int:
        """In bytes."""
        told = len(orjson.dumps([self.payload, self.history]))
        return told + sum(map(len, self.content)) + _OVERHEAD


class Store:
    """Objects by their paths, oldest first: those are forgotten, with all below, where there is no more room."""

    def __init__(self) -> None:
        self._objects: dict[str, Kept] = {}
        self._sizes: dict[str, int] = {}
        self._number = 0

    @staticmethod
    def new_id(prefix: str) -> str:
        """Never one that was there before, in this process or in another: whoever asks may remember whose it is."""
        return prefix + secrets.token_hex(12)

    def moment(self) -> int:
        """Unix seconds, of a clock that goes on by one with each object."""
        return CREATED + self._number

    def put(self, kept: Kept) -> Kept:
        """Raises Refusal where it is larger than all that is kept."""
        size = kept.size
        self.make_room(size)
        self._number += 1
        self._objects[kept.path] = kept
        self._sizes[kept.path] = size
        return kept

    def make_room(self, size: int) -> None:
        """Forget the oldest until one more object of `size` bytes fits in. Raises Refusal where none can."""
        if size > MOST_BYTES:
            raise Refusal(f"At most {MOST_BYTES} bytes are kept.", status=413, code="request_too_large")
        while len(self._objects) >= MOST_OBJECTS or sum(self._sizes.values()) + size > MOST_BYTES:
            self.drop(next(iter(self._objects)))

    def get(self, path: str) -> Kept:
        """Raises Refusal, a 404, where there is no such object."""
        found = self._objects.get(path)
        if found is None:
            kind, _, name = path.rpartition("/")
            message = f"No such object in {kind[-100:]}: {name[:100]!r}."
            raise Refusal(message, status=404, param="id", code="not_found")
        return found

    def has(self, path: str) -> bool:
        return path in self._objects

    def within(self, collection: str) -> Iterator[Kept]:
        """The objects of `/files`, say, oldest first; not those below them."""
        found = (kept for path, kept in self._objects.items() if path.rpartition("/")[0] == collection)
        return iter(tuple(found))

    def drop(self, path: str) -> None:
        """Forget what is there, and all below."""
        for known in [known for known in self._objects if known == path or known.startswith(f"{path}/")]:
            del self._objects[known], self._sizes[known]
