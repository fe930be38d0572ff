"""Other spellings of the API's paths, put right before routing, so that no operation is registered twice."""

import re
from collections.abc import Iterable

from starlette.types import Scope

DEPLOYMENT = "llm_backend.deployment"
"""Where an Azure deployment's name stands in the scope; it takes the place of `model` before the body is validated."""

_AZURE = re.compile(r"/openai/deployments/([^/]{1,256})/(.+)")


class Rewriting:
    """Gives `/v1` to the paths that lack it: hosts are typed without it, and Azure's clients have their own form."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are the document's, as `/v1/models/{model}`; those outside `/v1` keep their own doors."""
        every = [path.split("/") for path in paths]
        own = {parts[1] for parts in every if parts[1] != "v1"}
        self._roots = {parts[2] for parts in every if parts[1] == "v1" and parts[2:]} - own

    def apply(self, scope: Scope, headers: dict[str, str]) -> None:
        """Put the path and the headers right in place, and note an Azure deployment's name under `DEPLOYMENT`."""
        azure = _AZURE.fullmatch(scope["path"])
        if azure:
            scope[DEPLOYMENT] = azure[1]
            self._move(scope, f"/v1/{azure[2]}")
            if "api-key" in headers:
                headers.setdefault("authorization", f"Bearer {headers['api-key']}")
        elif scope["path"].split("/", 2)[1] in self._roots:
            self._move(scope, f"/v1{scope['path']}")

    @staticmethod
    def _move(scope: Scope, path: str) -> None:
        scope["path"], scope["raw_path"] = path, path.encode()
