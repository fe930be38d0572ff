"""Media types: those that are read here, and how much of each."""

import re
from dataclasses import dataclass

from llm_backend.errors import InvalidForm, InvalidRequest, UnsupportedMediaType

JSON = "application/json"
FORM = "multipart/form-data"

LONGEST_BOUNDARY = 70
"""In characters, as RFC 2046 has it."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (a token of RFC 9110's grammar)
TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})[ \t]*((?:;.*)?)", re.ASCII)
"""A media type and the text of its parameters."""

_PLAIN = re.compile(r"[a-z0-9.+-]{1,32}/[a-z0-9.+-]{1,64}")
"""A type that is repeated to who sent it."""

_PARAMETER = re.compile(rf'[ \t]*;[ \t]*(?:({_TOKEN})=(?:"([^"\\]*)"|([^\s";]+))[ \t]*)?', re.ASCII)


@dataclass(frozen=True, slots=True)
class Readable:
    """How many bytes an operation reads of a body, by its media type; None where it does not take that type."""

    json: int | None
    form: int | None = None

    @property
    def named(self) -> str:
        """The media types, for a message."""
        of_json = [] if self.json is None else [JSON]
        return " or ".join(of_json if self.form is None else [*of_json, FORM])


@dataclass(frozen=True, slots=True)
class BodyType:
    """The type of one body."""

    kind: str
    """`JSON` or `FORM`."""
    boundary: bytes = b""
    """Of a form."""


_PLAIN_JSON = BodyType(JSON)


def body_type(content_type: str | None, content_encoding: str | None, readable: Readable) -> BodyType:
    """The type of a body that is there.

    Raises UnsupportedMediaType for a type that is not `readable`, a charset other than UTF-8, and compression;
    InvalidForm where a form has no boundary by which it could be read.
    """
    if content_type == JSON and content_encoding is None and readable.json is not None:
        return _PLAIN_JSON
    if content_encoding is not None and content_encoding.strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Compressed bodies are not read here: send the body without Content-Encoding.")
    found = TYPE.fullmatch(content_type or "")
    if found is None:
        raise UnsupportedMediaType(f"The type of the body is not said. {_wanted(readable)}")
    kind, parameters = found[1].lower(), found[2]
    taken = {JSON: readable.json, FORM: readable.form}
    if taken.get(kind) is None:
        came = kind if _PLAIN.fullmatch(kind) else "another type"
        raise UnsupportedMediaType(f"The body was sent as {came}, which is not read here. {_wanted(readable)}")
    if charset(parameters) not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("Bodies are read as UTF-8 only.")
    return BodyType(kind, _boundary(parameters) if kind == FORM else b"")


def _wanted(readable: Readable) -> str:
    return f"Send it with the header Content-Type: {readable.named}."


def charset(parameters: str) -> str:
    """The charset that a type's parameters name, lower case; UTF-8 where they name none. As `_values`."""
    values = _values(parameters, "charset")
    return values[0].lower() if len(set(values)) == 1 else "" if values else "utf-8"


def declared_length(content_length: str | None) -> int | None:
    """Read Content-Length, in bytes; None where it is not sent. Raises InvalidRequest where it is no number."""
    if content_length is None:
        return None
    if not (content_length.isascii() and content_length.isdigit() and len(content_length) < 20):  # noqa: PLR2004 (2**64)
        raise InvalidRequest("The Content-Length is no number.")
    return int(content_length)


def _boundary(parameters: str) -> bytes:
    values = _values(parameters, "boundary")
    if len(values) != 1 or not values[0].isprintable() or values[0].endswith(" "):
        raise InvalidForm(f"The Content-Type of a form names its boundary once: {FORM}; boundary=…")
    if len(values[0]) > LONGEST_BOUNDARY:
        raise InvalidForm(f"The boundary of a form has at most {LONGEST_BOUNDARY} characters.")
    return values[0].encode("latin-1")


def _values(parameters: str, name: str) -> list[str]:
    """What is said for a parameter, each time. Raises UnsupportedMediaType for parameters that cannot be read."""
    found, start = [], 0
    while start < len(parameters):
        parameter = _PARAMETER.match(parameters, start)
        if parameter is None or not parameter[0]:
            raise UnsupportedMediaType("The parameters of the Content-Type cannot be read.")
        if parameter[1] is not None and parameter[1].lower() == name:
            found.append(parameter[2] if parameter[2] is not None else parameter[3])
        start = parameter.end()
    return found
