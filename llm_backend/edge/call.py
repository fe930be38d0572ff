"""One request on its way through: what each layer has learned of it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import Receive, Scope

from llm_backend.domain.idempotency import Once
from llm_backend.domain.identity import Caller
from llm_backend.domain.services import Services
from llm_backend.domain.work import NONE_HELD, Holdings, Keeping, Work
from llm_backend.edge.departures import DEPARTURE, Departure
from llm_backend.edge.forms import Upload
from llm_backend.edge.outlets import OUTLET, Outlet
from llm_backend.errors import Json
from llm_backend.upstream.forms import Form

CALL = "llm_backend.call"
"""Where the call stands in the ASGI scope."""


@dataclass(slots=True)
class Call:
    """Made by the guard, completed by authentication and validation, given to the handler."""

    request_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    """The client's headers, lower case, each name once."""
    raw_body: bytes
    """The whole body; empty where it is a form, and where nobody reads it: GET, DELETE, what is not served."""
    receive: Receive
    """Past the body: the next message is the client's departure."""
    scope: Scope
    started: float = field(default_factory=perf_counter)
    caller: Caller | None = None
    body: Json = None
    """The parsed and validated body: JSON, or the object of a form's fields, in which files stand as their names."""
    upload: Upload | None = None
    """The form that is still to be read, where the body is one."""
    form: Form | None = None
    """The form, once it is read; closed when the request ends."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """The typed path and query parameters, under Python names (`include[]` is `include`)."""
    query: str = ""
    """What of the query an upstream gets, encoded."""
    holdings: Holdings = NONE_HELD
    """What it has to do with objects that upstreams keep."""
    keeping: Keeping | None = None
    """How its answer is kept, where it is."""
    log: dict[str, Any] = field(default_factory=dict)
    """What the access log's line says besides the usual."""
    once: Once | None = None
    """The right to run the request, where it bears an idempotency key."""

    @classmethod
    def of(cls, scope: Scope) -> "Call":
        """The call that the guard put into `scope`."""
        call: Call = scope[CALL]
        return call

    @property
    def services(self) -> Services:
        """The application's parts, from the lifespan's state."""
        services: Services = self.scope["state"]["services"]
        return services

    @property
    def owner(self) -> Caller:
        """Who asks, and whose is what is kept. For authenticated operations."""
        if self.caller is None:
            raise AssertionError("An operation of an account's has a caller.")
        return self.caller

    @property
    def client(self) -> str | None:
        """The address that the request came from; None where the server knows none, as on a socket file."""
        client: tuple[str, int] | None = self.scope.get("client")
        return client[0] if client else None

    @property
    def operation_id(self) -> str | None:
        """The operation that the path and method lead to; None before routing, and where they lead nowhere."""
        # The guard made the dictionary that Connexion's routing writes into.
        operation_id: str | None = self.scope["extensions"].get(ROUTING_CONTEXT, {}).get("operation_id")
        return operation_id

    @property
    def elapsed_ms(self) -> int:
        return int((perf_counter() - self.started) * 1000)

    def work(self, path: str, *, streamed: bool, accept: str | None = None) -> Work:
        """What the caller asks of an upstream at `path` (below its base URL). For authenticated operations.

        `accept`: the media type of the answer, where it is neither JSON nor events.
        """
        operation_id = self.operation_id
        if operation_id is None:
            raise AssertionError("What is asked of an upstream is an operation.")
        work = Work(
            self.owner,
            self.request_id,
            operation_id,
            path,
            self.body,
            self.headers,
            streamed,
            form=self.form,
            accept=accept,
            query=self.query,
            holdings=self.holdings,
            once=self.once,
        )
        return work if self.keeping is None else work._replace(**self.keeping._asdict())

    def makes(self, made_id: str) -> None:
        """Note what is made, under its public id: when that is deleted, the answer is not told again."""
        if self.once is not None:
            self.once.makes(made_id)

    @property
    def departure(self) -> Departure:
        """The client's."""
        departure: Departure = self.scope[DEPARTURE]
        return departure

    @property
    def outlet(self) -> Outlet | None:
        """The short way to the client; None where its protocol has none."""
        outlet: Outlet | None = self.scope.get(OUTLET)
        return outlet
