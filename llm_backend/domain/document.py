"""The contract as it is handed out."""

import gzip
from dataclasses import dataclass

import orjson

from llm_backend.errors import Json


@dataclass(frozen=True, slots=True)
class Document:
    """Kept compressed: a megabyte of JSON that is seldom asked for."""

    compressed: bytes
    """Gzipped JSON."""

    @classmethod
    def of(cls, document: Json) -> "Document":
        # Of zlib's nine levels the sixth: the ninth takes twice as long for two of a hundred kilobytes.
        return cls(gzip.compress(orjson.dumps(document), compresslevel=6, mtime=0))

    def plain(self) -> bytes:
        return gzip.decompress(self.compressed)
