"""Media types: the one that is read here, in the one spelling that the layers below compare with."""

import re

from llm_backend.errors import InvalidRequest, UnsupportedMediaType

JSON = "application/json"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (a token of RFC 9110's grammar)
_TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})[ \t]*((?:;.*)?)", re.ASCII)
_PARAMETER = re.compile(rf'[ \t]*({_TOKEN})=(?:"([^"\\]*)"|({_TOKEN}))[ \t]*', re.ASCII)


def normalised(content_type: str | None, content_encoding: str | None) -> str:
    """Spell the type of a body that is there: `application/json`.

    Raises UnsupportedMediaType for any other type, a charset other than UTF-8, and compression.
    """
    if content_encoding is not None and content_encoding.strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Compressed bodies are not read here: send the body without Content-Encoding.")
    found = _TYPE.fullmatch(content_type or "")
    if found is None:
        raise UnsupportedMediaType(f"The body needs a Content-Type: {JSON}.")
    kind, parameters = found[1].lower(), found[2]
    if kind != JSON:
        raise UnsupportedMediaType(f"Bodies are read as {JSON} only.")
    _check_charset(parameters)
    return kind


def _check_charset(parameters: str) -> None:
    for text in parameters.split(";")[1:]:
        if not text.strip():
            continue
        parameter = _PARAMETER.fullmatch(text)
        if parameter is None:
            raise UnsupportedMediaType("The parameters of the Content-Type cannot be read.")
        charset = parameter[2] if parameter[2] is not None else parameter[3]
        if parameter[1].lower() == "charset" and charset.lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("Bodies are read as UTF-8 only.")


def declared_length(content_length: str | None) -> int | None:
    """Read Content-Length, in bytes; None where it is not sent. Raises InvalidRequest where it is no number."""
    if content_length is None:
        return None
    if not (content_length.isascii() and content_length.isdigit() and len(content_length) < 20):  # noqa: PLR2004 (2**64)
        raise InvalidRequest("The Content-Length is no number.")
    return int(content_length)
