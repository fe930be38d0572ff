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
        return cls(gzip.compress(orjson.dumps(document), mtime=0))

    def plain(self) -> bytes:
        return gzip.decompress(self.compressed)
