"""The composition root: the one place where the parts meet."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from connexion.apps.asynchronous import AsyncApp
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.lifespan import Lifespan, LifespanMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.uri_parsing import AbstractURIParser

from llm_backend import logs
from llm_backend.configured import transport_of
from llm_backend.contract.bodies import body_limit
from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import merge, refuse_unknown_authenticators
from llm_backend.contract.error_styles import plain_roots
from llm_backend.contract.routing import resolver
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.domain.clock import Clock, SystemClock
from llm_backend.domain.document import Document
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.services import Services
from llm_backend.edge.admission import Admission, Edge
from llm_backend.edge.auth import CHECKS, SECURITY_MAP
from llm_backend.edge.cors import Cors
from llm_backend.edge.guard import Bounds, Guard, Patience
from llm_backend.edge.rewriting import Rewriting
from llm_backend.errors import Json
from llm_backend.metrics import Metrics
from llm_backend.parts import Parts
from llm_backend.resources import resource
from llm_backend.settings import Settings, Upstream, load_settings
from llm_backend.upstream.wire import Transport

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What a server without keys is called by."""

LAYERS = [
    RoutingMiddleware,
    SecurityMiddleware,
    RequestValidationMiddleware,
    LifespanMiddleware,
    ContextMiddleware,
]
"""Of Connexion's layers those that do something here: errors are the guard's, the page is a handler's."""


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    transport_of: Callable[[Upstream], Transport] = transport_of,
) -> Edge:
    """Everything, built from `settings`; `transport_of` makes the way to each upstream.

    Raises ContractError where the documents, the policy and the handlers do not fit together.
    """
    document = merge(resource("spec"), docs=settings.docs)
    refuse_unknown_authenticators(document, CHECKS)
    admission = Admission(settings.limits.max_concurrent_requests)
    metrics = Metrics()
    parts = Parts(settings, clock or SystemClock(), transport_of, admission, metrics)
    packed = Document.of(document)
    running: list[Exchanges] = []

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[dict[str, Services]]:
        async with AsyncExitStack() as stack:
            services = await parts.open(stack, packed)
            running.append(services.exchanges)
            yield {"services": services}

    def cut() -> None:
        for exchanges in running:
            exchanges.cut()

    def count(operation: str, status: int) -> None:
        metrics.requests.labels(operation, str(status)).inc()

    guard = Guard(
        _connexion(document, lifespan),
        bounds=_bounds(document, settings),
        rewriting=Rewriting(document["paths"]),
        admission=admission,
        count=count,
        plain_roots=plain_roots(document),
    )
    return Edge(Cors(guard, settings.cors_origins), admission, cut)


def from_environment() -> Edge:
    """The application of one server process, which reads its settings itself."""
    settings = load_settings()
    logs.configure(settings.log_level, secrets=settings.secrets, prompts=settings.log.prompts)
    app = create_app(settings)
    # What is there now stays: no collection while requests wait has to look through it again.
    gc.collect()
    gc.freeze()
    return app


def _connexion(document: Json, lifespan: Lifespan) -> AsyncApp:
    """Connexion's own part: from a request to its operation's handler, through security and validation."""
    app = AsyncApp(
        "llm_backend",
        lifespan=lifespan,
        middlewares=list(LAYERS),
        resolver=resolver(document),
        security_map=SECURITY_MAP,
        validator_map=validator_map(document),
        # Parameters are read once, by our own validator.
        uri_parser_class=cast("AbstractURIParser", UnreadUri),
    )
    app.add_api(to_connexion(document))
    return app


def _bounds(document: Json, settings: Settings) -> Bounds:
    return Bounds(
        body_limit(document),
        LOCAL_HOSTS if settings.auth == "open" and not settings.auth_open_everywhere else None,
        Patience(body_progress_seconds=settings.limits.body_seconds),
    )
