"""What the body of a request may be, told by its method and path before anything is routed."""

import re
from collections.abc import Callable

from llm_backend.contract.operations import in_turn, is_greedy
from llm_backend.errors import Json

BodyLimit = Callable[[str, str], int | None]

_PLACE = re.compile(r"\{([^}]*)\}")


def body_limit(document: Json) -> BodyLimit:
    """How many bytes a body may have, by the method and actual path of its request.

    None where the operation is not served: nobody reads its body, so it may be anything.
    """
    default: int = document["x-body-limit"]
    fixed: dict[tuple[str, str], int | None] = {}
    patterns: dict[str, list[tuple[re.Pattern[str], int | None]]] = {}
    for operation in in_turn(document):
        limit = operation.fields.get("x-body-limit", default) if operation.is_served else None
        method = operation.method.upper()
        if "{" in operation.path:
            greedy = {parameter["name"] for parameter in operation.parameters if is_greedy(parameter)}
            patterns.setdefault(method, []).append((_pattern(operation.path, greedy), limit))
        else:
            fixed[method, operation.path] = limit

    def limit_of(method: str, path: str) -> int | None:
        if (method, path) in fixed:
            return fixed[method, path]
        return next((limit for pattern, limit in patterns.get(method, ()) if pattern.fullmatch(path)), default)

    return limit_of


def _pattern(path: str, greedy: set[str]) -> re.Pattern[str]:
    """Matches what the router would match; `greedy` parameters take slashes too."""
    parts = _PLACE.split(path)  # text, name, text, name, …
    for index, part in enumerate(parts):
        parts[index] = (".+" if part in greedy else "[^/]+") if index % 2 else re.escape(part)
    return re.compile("".join(parts))
