"""What the body of a request may be, told by its method and path before anything is routed."""

import re
from collections.abc import Callable

from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import Operation, in_turn, is_greedy
from llm_backend.contract.paths import Paths, Place
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
    limits = Paths(
        Place(operation.method.upper(), operation.path, _pattern(operation), _readable(document, operation))
        for operation in in_turn(document)
    )

    def limit_of(method: str, path: str) -> Readable | None:
        found = limits.find(method, path)
        return default if found is None else found[0]

    return limit_of


def _readable(document: Json, operation: Operation) -> Readable | None:
    """Of an operation that declares no body one of JSON is read: SDKs send `{}`."""
    if not operation.is_answered:
        return None
    content = resolve(document, operation.fields.get("requestBody", {})).get("content", {})
    is_form_only = FORM in content and JSON not in content
    json = None if is_form_only else operation.fields.get("x-body-limit", document["x-body-limit"])
    return Readable(json, operation.fields.get("x-form-limit"))


def _pattern(operation: Operation) -> re.Pattern[str]:
    """Matches what the router would match."""
    greedy = {parameter["name"] for parameter in operation.parameters if is_greedy(parameter)}
    parts = _PLACE.split(operation.path)  # text, name, text, name, …
    for index, part in enumerate(parts):
        parts[index] = (".+" if part in greedy else "[^/]+") if index % 2 else re.escape(part)
    return re.compile("".join(parts) + r"\Z")
