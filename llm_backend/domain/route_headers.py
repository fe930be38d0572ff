"""Who answered, and how long that one will be there."""

from datetime import UTC, datetime, time
from email.utils import format_datetime
from urllib.parse import quote

from llm_backend.upstream.models import Sunset
from llm_backend.upstream.routing import Route

MODEL, UPSTREAM = "x-llm-backend-model", "x-llm-backend-upstream"


def route_headers(route: Route) -> dict[str, str]:
    """The model and the upstream that answered, and the model's end where it has one (RFC 9745, RFC 8594)."""
    who = {MODEL: _written(route.answering_model), UPSTREAM: _written(route.upstream.name)}
    sunset = route.model.sunset if route.model else None
    return who if sunset is None else who | _sunset_headers(sunset)


def _sunset_headers(sunset: Sunset) -> dict[str, str]:
    end = datetime.combine(sunset.day, time(), UTC)
    told = {"deprecation": f"@{int(end.timestamp())}", "sunset": format_datetime(end, usegmt=True)}
    if sunset.successor is not None:
        told["link"] = f'</v1/models/{quote(sunset.successor, safe="")}>; rel="successor-version"'
    return told


def _written(name: str) -> str:
    """`name` as a header takes it: letters beyond ASCII as in a URL."""
    return name if name.isascii() else quote(name, safe=" /:@+=,")
