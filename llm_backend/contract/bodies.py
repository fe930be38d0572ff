"""What the body of a request may be, told by its method and path before anything is routed."""

import re
from collections.abc import Callable

from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import Operation, in_turn, is_greedy
from llm_backend.edge.media import FORM, JSON, Readable
from llm_backend.errors import Json

BodyLimit = Callable[[str, str], Readable | None]

_PLACE = re.compile(r"\{([^}]*)\}")


def body_limit(document: Json) -> BodyLimit:
    """Which media types a body may have, and how many bytes of each, by the method and actual path of its request.

    None where the operation is not answered: nobody reads its body, so it may be anything.
    """
    # Where nothing is, a form is not read, and what is told is that nothing is there.
    default = Readable(document["x-body-limit"], document["x-body-limit"])
    fixed: dict[tuple[str, str], Readable | None] = {}
    patterns: dict[str, list[tuple[re.Pattern[str], Readable | None]]] = {}
    for operation in in_turn(document):
        limit = _readable(document, operation)
        method = operation.method.upper()
        if "{" in operation.path:
            greedy = {parameter["name"] for parameter in operation.parameters if is_greedy(parameter)}
            patterns.setdefault(method, []).append((_pattern(operation.path, greedy), limit))
        else:
            fixed[method, operation.path] = limit

    def limit_of(method: str, path: str) -> Readable | None:
        if (method, path) in fixed:
            return fixed[method, path]
        return next((limit for pattern, limit in patterns.get(method, ()) if pattern.fullmatch(path)), default)

    return limit_of


def _readable(document: Json, operation: Operation) -> Readable | None:
    """Of an operation that declares no body one of JSON is read: SDKs send `{}`."""
    if not operation.is_answered:
        return None
    content = resolve(document, operation.fields.get("requestBody", {})).get("content", {})
    is_form_only = FORM in content and JSON not in content
    json = None if is_form_only else operation.fields.get("x-body-limit", document["x-body-limit"])
    return Readable(json, operation.fields.get("x-form-limit"))


def _pattern(path: str, greedy: set[str]) -> re.Pattern[str]:
    """Matches what the router would match; `greedy` parameters take slashes too."""
    parts = _PLACE.split(path)  # text, name, text, name, …
    for index, part in enumerate(parts):
        parts[index] = (".+" if part in greedy else "[^/]+") if index % 2 else re.escape(part)
    return re.compile("".join(parts))
