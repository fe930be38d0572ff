"""The operations of an OpenAPI document, and the names that lead from them to Python."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llm_backend.errors import Json

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `fields` is the document's own object, not a copy."""

    path: str
    method: str
    fields: Json

    @property
    def id(self) -> str:
        name: str = self.fields.get("operationId", "")
        return name

    @property
    def tag(self) -> str:
        """The first tag, which names the handler's module; empty where there is none."""
        tags: list[str] = self.fields.get("tags") or [""]
        return tags[0]

    @property
    def is_served(self) -> bool:
        return bool(self.fields.get("x-fate") == "served")

    @property
    def is_relayed(self) -> bool:
        """Whether the upstream answers it, and this server knows only whose the objects are."""
        return bool(self.fields.get("x-fate") == "relayed")

    @property
    def is_answered(self) -> bool:
        """Whether its requests are read, checked and answered: here or by the upstream."""
        return self.is_served or self.is_relayed

    @property
    def parameters(self) -> list[Json]:
        found: list[Json] = self.fields.get("parameters", [])
        return found

    def __str__(self) -> str:
        """As messages name it: `createEmbedding (POST /v1/embeddings)`."""
        return f"{self.id} ({self.method.upper()} {self.path})"


def operations(document: Json) -> Iterator[Operation]:
    """Every operation, in the document's order."""
    for path, item in document["paths"].items():
        for method, fields in item.items():
            if method in METHODS:
                yield Operation(path, method, fields)


def in_turn(document: Json) -> list[Operation]:
    """The operations in the order in which a router tries their paths, one after the other.

    What is served goes first, what would match too much goes last. Within a turn the order is alphabetical, which puts
    `/files/search` before `/files/{file_id}`. A path that differs from another by its query only is left out.
    """
    return sorted((operation for operation in operations(document) if "?" not in operation.path), key=_turn)


def is_greedy(parameter: Json) -> bool:
    """Whether the parameter takes slashes too."""
    return bool(parameter.get("schema", {}).get("format") == "path")


def _turn(operation: Operation) -> tuple[int, str]:
    if any(is_greedy(parameter) for parameter in operation.parameters):
        return 2, operation.path
    return (0 if operation.is_answered and "{" not in operation.path else 1), operation.path


def python_name(name: str) -> str:
    """`createChatCompletion`, `fine-tuning`, `include[]` in snake case."""
    return re.sub(r"\W+", "_", _WORD_STARTS.sub("_", name)).strip("_").lower()
