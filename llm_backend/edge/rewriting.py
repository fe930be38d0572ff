"""Other spellings of the API's paths, put right before routing, so that no operation is registered twice."""

import re
from collections.abc import Iterable

from starlette.types import Scope

from llm_backend.errors import NotFound

DEPLOYMENT = "llm_backend.deployment"
"""Where a model's name from the path stands in the scope: it is the body's `model` before that is validated."""

AZURE = "/openai"
"""What every path of Azure's begins with."""

ENGINES = re.compile(r"/v1/engines(?:/(.+?)(/completions|/embeddings|/edits|/search)?)?", re.DOTALL)
"""What models were called until 2023, and what was asked of them below their names."""
TODAY = frozenset({"/completions", "/embeddings"})
"""What of that is asked as it was, with the model in the body."""


class Rewriting:
    """Gives `/v1` to the paths that lack it: hosts are typed without it, and Azure's clients have their own form."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are the document's, as `/v1/models/{model}`; those outside `/v1` keep their own doors."""
        every = list(paths)
        parts = [path.split("/") for path in every]
        own = {of[1] for of in parts if of[1] != "v1"}
        self._roots = {of[2] for of in parts if of[1] == "v1" and of[2:]} - own
        ends = [re.escape(path[3:]) for path in every if path.startswith("/v1/") and not set("{?") & set(path)]
        # A model's name may have slashes; the shortest one leaves the longest operation.
        self._deployment = re.compile(rf"{AZURE}/deployments/(.+?)({'|'.join(ends)})", re.DOTALL)

    def apply(self, scope: Scope, headers: dict[str, str]) -> None:
        """Put the path and the headers right in place, and note an Azure deployment's name under `DEPLOYMENT`.

        Raises NotFound for a path that has its `/v1` twice.
        """
        path: str = scope["path"]
        if path.startswith(f"{AZURE}/"):
            self._from_azure(scope, headers)
        elif _root(path) in self._roots:
            _move(scope, f"/v1{path}")
        path = scope["path"]
        if path.startswith("/v1/engines") and (engine := ENGINES.fullmatch(path)):
            _from_engine(scope, engine[1], engine[2])
        elif path.startswith("/v1/v1") and path[6:7] in {"", "/"}:
            raise NotFound("Unknown path: the base URL has its /v1 already, so /v1 is in the path twice.")

    def _from_azure(self, scope: Scope, headers: dict[str, str]) -> None:
        """Azure's key has a header of its own, and its version of the API, which no operation has, is in the query."""
        if "api-key" in headers:
            headers.setdefault("authorization", f"Bearer {headers['api-key']}")
        query: bytes = scope["query_string"]
        scope["query_string"] = b"&".join(each for each in query.split(b"&") if not each.startswith(b"api-version="))
        rest = scope["path"].removeprefix(AZURE)
        if deployment := self._deployment.fullmatch(scope["path"]):
            scope[DEPLOYMENT] = deployment[1]
            _move(scope, f"/v1{deployment[2]}")
        elif rest.startswith("/v1/"):
            _move(scope, rest)
        elif _root(rest) in self._roots:
            _move(scope, f"/v1{rest}")


def _root(path: str) -> str:
    """The first part of a path; nothing of `*`, which asks about the server."""
    return path[1:].partition("/")[0]


def _from_engine(scope: Scope, name: str | None, operation: str | None) -> None:
    """Ask the model of that name; what nobody asks of models any more keeps its path, which says so."""
    if name is None:
        _move(scope, "/v1/models")
    elif operation is None:
        _move(scope, f"/v1/models/{name}")
    elif operation in TODAY:
        scope[DEPLOYMENT] = name
        _move(scope, f"/v1{operation}")


def _move(scope: Scope, path: str) -> None:
    scope["path"], scope["raw_path"] = path, path.encode()
