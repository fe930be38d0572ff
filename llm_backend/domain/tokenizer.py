"""Tokens of a text, counted with the model's own tokenizer where its table lies here. Nothing is fetched, ever."""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from tiktoken import Encoding

MOST_BYTES = 1_000_000
"""Of a longer text the bytes say enough."""

SLICE_CHARACTERS = 16_384
"""What is counted at once: hostile texts are read by expressions that take more than linear time."""

log = structlog.get_logger("llm_backend.tokenizer")


@dataclass(frozen=True, slots=True)
class Table:
    """The file that a tokenizer is made from."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What tiktoken calls it in its folder."""
        return hashlib.sha1(self.url.encode(), usedforsecurity=False).hexdigest()


_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/"
_O200K = Table(f"{_SOURCE}o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d")

TABLES: Mapping[str, Table] = {
    "o200k_base": _O200K,
    "o200k_harmony": _O200K,
    "cl100k_base": Table(
        f"{_SOURCE}cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    ),
    "p50k_base": Table(
        f"{_SOURCE}p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
    ),
    "r50k_base": Table(
        f"{_SOURCE}r50k_base.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    ),
}
"""The tables of each encoding, as tiktoken names and proves them."""


class Sources(Protocol):
    """Where tokenizers come from; everything is called in threads."""

    def encoding_of(self, model: str) -> str | None:
        """The name of the encoding of `model`; None where none is known."""

    def load(self, encoding: str) -> "Encoding | None":
        """The tokenizer; None where it is not here."""


class Folder:
    """Where tables lie."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def encoding_of(self, model: str) -> str | None:
        """The name of the encoding of `model`; None where none is known."""
        from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 (only in a thread, when something is counted)

        try:
            name = encoding_name_for_model(model)
        except KeyError:
            return None
        return name if name in TABLES else None

    def load(self, encoding: str) -> "Encoding | None":
        """The tokenizer; None where its table is not here. Takes a processor for a second."""
        return self.fetch(encoding) if self._has(encoding) else None

    def fetch(self, encoding: str) -> "Encoding":
        """The tokenizer; its table is fetched where it is not here. Raises OSError or ValueError where it cannot be."""
        from tiktoken import get_encoding  # noqa: PLC0415 (as above)

        # The only way to tell tiktoken where to look.
        os.environ["TIKTOKEN_CACHE_DIR"] = str(self._path)
        return get_encoding(encoding)

    def _has(self, encoding: str) -> bool:
        """Whether the whole table is here. Another file is as good as none: tiktoken would fetch the table anew."""
        table = TABLES[encoding]
        try:
            content = (self._path / table.file_name).read_bytes()
        except OSError:
            return False
        return hashlib.sha256(content).hexdigest() == table.sha256


class Tokenizer:
    """Counts in threads. Until a table is loaded there is no count, so that nobody waits for it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._loads: dict[str, asyncio.Task[Encoding | None]] = {}

    async def count(self, model: str, text: str) -> int | None:
        """How many tokens `text` has; None where nobody can tell now."""
        if len(text) > MOST_BYTES:
            return None
        try:
            encoding = await self._encoding(model)
            return None if encoding is None else await asyncio.to_thread(_count, encoding, text)
        except Exception:
            # Whatever is wrong with a table, answers are settled without it.
            log.exception("tokens_not_counted", model=model)
            return None

    async def loaded(self) -> None:
        """Wait until every table is loaded, or is known not to be, that was asked for."""
        await asyncio.gather(*self._loads.values(), return_exceptions=True)

    async def close(self) -> None:
        """Wait for nothing any more."""
        for load in self._loads.values():
            load.cancel()
        await self.loaded()

    async def _encoding(self, model: str) -> "Encoding | None":
        name = await asyncio.to_thread(self._sources.encoding_of, model)
        if name is None:
            return None
        load = self._loads.get(name)
        if load is None:
            self._loads[name] = asyncio.create_task(asyncio.to_thread(self._sources.load, name))
            return None
        return load.result() if load.done() else None


def _count(encoding: "Encoding", text: str) -> int | None:
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return None
    # A token that is cut between two slices counts as two; no more than that is lost.
    starts = range(0, len(text), SLICE_CHARACTERS)
    return sum(len(encoding.encode_ordinary(text[start : start + SLICE_CHARACTERS])) for start in starts)
