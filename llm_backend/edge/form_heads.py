"""What the head of a form's part says: which field it is, and whether it is a file."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from llm_backend.edge import media
from llm_backend.errors import InvalidForm, UnsupportedMediaType

HEAD_BYTES = 8 * 1024
"""The most that the header lines of one part may have."""

HEAD_LINES = 16

NAME_BYTES = 200
FILENAME_CHARACTERS = 255

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (a token of RFC 9110's grammar)
_DISPOSITION = re.compile(
    rf'[ \t]*form-data((?:[ \t]*;[ \t]*{_TOKEN}=(?:"(?:[^"\\]|\\.)*"|[^\s";]*))*)[ \t;]*', re.IGNORECASE
)
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN})=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))')
_ESCAPED = re.compile(r'\\(["\\])')
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,64}")
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class Head:
    """One part's head, understood."""

    name: str
    filename: str | None
    """None for a text field."""
    content_type: str | None


@dataclass(slots=True)
class Lines:
    """The header lines of one part, as they come."""

    size: int = 0
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _found: dict[str, str] = field(default_factory=dict)

    def add_to_name(self, data: bytes) -> None:
        self._grow(len(data))
        self._name += data

    def add_to_value(self, data: bytes) -> None:
        self._grow(len(data))
        self._value += data

    def end(self) -> None:
        """A line has ended. Raises InvalidForm where it has come before, or is no text."""
        name = self._name.decode("latin-1").lower()
        if name in self._found:
            raise InvalidForm("A part of the form has a header line twice.")
        self._found[name] = _text(bytes(self._value)).rstrip(" \t")
        self._name.clear()
        self._value.clear()

    def head(self) -> Head:
        """What all of them say. Raises InvalidForm, and UnsupportedMediaType for an encoding that is not read."""
        given = _parameters(self._found.get("content-disposition", ""))
        name, filename = given.get("name", ""), given.get("filename")
        if filename is None and "filename*" in given:
            filename = _extended(given["filename*"])
        if not name or len(name.encode()) > NAME_BYTES or not name.isprintable():
            raise InvalidForm(f"Each part of a form has a name of 1 to {NAME_BYTES} bytes without control characters.")
        if filename is not None and (len(filename) > FILENAME_CHARACTERS or _has_control(filename)):
            message = f"A file's name has at most {FILENAME_CHARACTERS} characters, and no control characters."
            raise InvalidForm(message, param=shown(name))
        content_type = self._found.get("content-type") or None
        if content_type is not None:
            _check_type(content_type, name, is_text=filename is None)
        if self._found.get("content-transfer-encoding", "binary").strip().lower() not in _AS_IT_IS:
            message = "The parts of a form are sent as they are, without a Content-Transfer-Encoding."
            raise InvalidForm(message, param=shown(name))
        return Head(name, filename, content_type)

    def _grow(self, size: int) -> None:
        self.size += size
        if self.size > HEAD_BYTES:
            raise InvalidForm(f"The head of a form's part has at most {HEAD_BYTES} bytes.")


def shown(name: str) -> str | None:
    """The name as errors bear it; None where a client made up one that is not plain."""
    return name if _PLAIN_NAME.fullmatch(name) else None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidForm("The head of a form's part is not UTF-8.") from None


def _parameters(disposition: str) -> dict[str, str]:
    """Those of a `form-data; name="file"; filename="a.wav"`. Raises InvalidForm where one stands there twice."""
    found = _DISPOSITION.fullmatch(disposition)
    if found is None:
        raise InvalidForm("Each part of a form says form-data and its name in a Content-Disposition.")
    parameters: dict[str, str] = {}
    for parameter in _PARAMETER.finditer(found[1]):
        name = parameter[1].lower()
        if name in parameters:
            raise InvalidForm("A part of the form has two names.")
        quoted, plain = parameter[2], parameter[3]
        parameters[name] = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
    return parameters


def _extended(value: str) -> str:
    """`UTF-8''caf%C3%A9.png`, as some clients write what is not ASCII. Raises InvalidForm."""
    charset, _, rest = value.partition("'")
    if charset.lower() != "utf-8" or "'" not in rest:
        raise InvalidForm("A file's name is sent as UTF-8.")
    return _text(unquote_to_bytes(rest.partition("'")[2]))


def _has_control(text: str) -> bool:
    return any(character < " " or character == "\x7f" for character in text)


def _check_type(content_type: str, name: str, *, is_text: bool) -> None:
    found = media.TYPE.fullmatch(content_type)
    if found is None or not content_type.isascii() or not content_type.isprintable():
        raise InvalidForm("The Content-Type of a form's part cannot be read.", param=shown(name))
    if found[1].lower().startswith("multipart/"):
        raise UnsupportedMediaType("A part of a form is not a form of its own.", param=shown(name))
    if is_text and media.charset(found[2]) not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType("The text fields of a form are read as UTF-8 only.", param=shown(name))
