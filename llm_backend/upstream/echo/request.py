"""Reading what all operations share of a request."""

from collections.abc import Mapping, Sequence

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.script import Refusal

_MOST_CHOICES = 128


def parsed(body: bytes | None) -> Mapping[str, Json]:
    """The JSON object in `body`. Raises Refusal where it is none, or names no model."""
    try:
        request = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        raise Refusal("We could not parse the JSON body of your request.", code="invalid_json") from None
    if not isinstance(request, dict):
        raise Refusal("The body of a request is a JSON object.", code="invalid_json")
    if not isinstance(request.get("model"), str):
        message = "Missing required parameter: 'model'."
        raise Refusal(message, param="model", code="missing_required_parameter")
    return request


def number_of(request: Mapping[str, Json], name: str) -> int:
    """A count from 1 to 128; 1 where the request has none."""
    value = request.get(name)
    if value is None:
        return 1
    if not is_count(value) or not 1 <= value <= _MOST_CHOICES:
        raise Refusal(f"'{name}' is a number from 1 to {_MOST_CHOICES}.", param=name, code="invalid_value")
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
