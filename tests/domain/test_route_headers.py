from datetime import date

from llm_backend.domain.route_headers import route_headers
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.models import Model, Sunset
from llm_backend.upstream.routing import Route
from llm_backend.upstream.upstream import Upstream


def test_names_and_successors_are_written_as_headers_take_them() -> None:
    upstream = Upstream("local", EchoTransport(Echo()), timeouts=Timeouts(), circuit=Circuit())
    model = Model("modèle/1", sunset=Sunset(date(2031, 5, 1), "org/näxt"))

    assert route_headers(Route(upstream, "m", "asked", model)) == {
        "x-llm-backend-model": "mod%C3%A8le/1",
        "x-llm-backend-upstream": "local",
        "deprecation": "@1935360000",
        "sunset": "Thu, 01 May 2031 00:00:00 GMT",
        "link": '</v1/models/org%2Fn%C3%A4xt>; rel="successor-version"',
    }
    assert route_headers(Route(upstream, "m", "asked", None)) == {
        "x-llm-backend-model": "m",
        "x-llm-backend-upstream": "local",
    }
