"""Reading what all operations share of a request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.script import Refusal
from llm_backend.upstream.forms import PIECE, Form, Part

_MOST_CHOICES = 128


_FIELD: Final = re.compile(r"([^\[\]]{1,64})(\[\])?(?:\[([^\[\]]{1,64})\])?")
"""A name in a form: `n`, `include[]`, `expires_after[seconds]`."""
_NUMBERS: Final = frozenset({"n", "partial_images", "output_compression", "temperature", "bytes", "seconds"})
_CLAIMS: Final = frozenset({"stream"})
"""Fields that are no text in JSON."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the members of a JSON object, or the fields of a form and its files."""

    fields: Mapping[str, Json]
    digest: str
    """Of path and body; of a long file only its length and its beginning count."""
    files: Mapping[str, Sequence[Part]] = field(default_factory=dict)

    @property
    def streams(self) -> bool:
        return self.fields.get("stream") is True

    def model(self, otherwise: str | None) -> str:
        """The model it names, or `otherwise`. Raises Refusal where there is neither."""
        model = self.fields.get("model") or otherwise
        if not isinstance(model, str):
            message = "Missing required parameter: 'model'."
            raise Refusal(message, param="model", code="missing_required_parameter")
        return model

    def of_model(self, model: str) -> "Request":
        return replace(self, fields={**self.fields, "model": model})

    def file(self, name: str) -> Part:
        """The one file under `name`. Raises Refusal where there is none."""
        if name not in self.files:
            message = f"Missing required parameter: '{name}'."
            raise Refusal(message, param=name, code="missing_required_parameter")
        return self.files[name][0]


def digest_of(path: str, body: bytes | Form | None) -> str:
    if isinstance(body, Form):
        told = sha256(path.encode())
        for part in body.parts:
            told.update(f"{part.name} {part.filename} {part.size} ".encode())
            told.update(part.beginning(PIECE))
        return told.hexdigest()
    return sha256(path.encode() + (body or b"")).hexdigest()


def read(path: str, body: bytes | Form | None) -> Request:
    """Raises Refusal where `body` is neither a form nor a JSON object."""
    digest = digest_of(path, body)
    if isinstance(body, Form):
        return _of_form(body, digest)
    try:
        fields = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        raise Refusal("We could not parse the JSON body of your request.", code="invalid_json") from None
    if not isinstance(fields, dict):
        raise Refusal("The body of a request is a JSON object.", code="invalid_json")
    return Request(fields, digest)


def _of_form(form: Form, digest: str) -> Request:
    fields: dict[str, Json] = {}
    files: dict[str, list[Part]] = {}
    for part in form.parts:
        named = _FIELD.fullmatch(part.name)
        if named is None:
            raise Refusal("A field of the form has no name that is read.", code="invalid_value")
        name, is_list, member = named.groups()
        if part.filename is not None:
            files.setdefault(name, []).append(part)
            continue
        value = _typed(member or name, part.beginning(part.size).decode(errors="replace"))
        if is_list:
            fields[name] = [*_already(fields, name, list), value]
        elif member:
            fields[name] = {**_already(fields, name, dict), member: value}
        else:
            fields[name] = value
    return Request(fields, digest, files)


def _already(fields: Mapping[str, Json], name: str, kind: type) -> Json:
    """What the fields have under `name`, where that is of `kind`; else nothing."""
    found = fields.get(name)
    return found if isinstance(found, kind) else kind()


def _typed(name: str, text: str) -> Json:
    """As JSON would have it; what cannot be that stays a text, and is refused by whoever reads it."""
    if name not in _NUMBERS | _CLAIMS:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def text_of(fields: Mapping[str, Json], name: str) -> str:
    """Raises Refusal where `name` is missing or no text."""
    value = fields.get(name)
    if value is None:
        raise Refusal(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    if not isinstance(value, str):
        raise Refusal(f"'{name}' is a text.", param=name, code="invalid_type")
    return value


def choice_of(fields: Mapping[str, Json], name: str, choices: Sequence[str]) -> str:
    """One of `choices`; the first where it is missing."""
    value = fields.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise Refusal(f"'{name}' is one of {', '.join(choices)} here.", param=name, code="invalid_value")
    return str(value)


def number_of(request: Mapping[str, Json], name: str) -> int:
    """A count from 1 to 128; 1 where the request has none."""
    return count_of(request, name, 1, _MOST_CHOICES)


def count_of(request: Mapping[str, Json], name: str, least: int, most: int) -> int:
    """A count from `least` to `most`; `least` where the request has none."""
    value = request.get(name)
    if value is None:
        return least
    if not is_count(value) or not least <= value <= most:
        raise Refusal(f"'{name}' is a number from {least} to {most}.", param=name, code="invalid_value")
    return int(value)


def limit_of(request: Mapping[str, Json], *names: str) -> int | None:
    """The first limit of tokens that the request names; None where it names none."""
    for name in names:
        value = request.get(name)
        if value is not None:
            if not is_count(value) or value < 0:
                raise Refusal(f"'{name}' is a number of tokens.", param=name, code="invalid_value")
            return int(value)
    return None


def stops_of(request: Mapping[str, Json]) -> Sequence[str]:
    stop = request.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(text, str) for text in stops):
        raise Refusal("'stop' is a text or a list of texts.", param="stop", code="invalid_type")
    return stops


def wants_usage(request: Mapping[str, Json]) -> bool:
    """Whether the stream is to end in a chunk of usage."""
    options = request.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def is_count(value: Json) -> bool:
    """Whether it is an integer as JSON Schema has it, which 4.0 is too."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())
