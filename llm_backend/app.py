"""The composition root: the one place where the parts meet."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

from connexion.middleware.lifespan import LifespanMiddleware
from starlette.types import ASGIApp

from llm_backend import logs
from llm_backend.configured import transport_of
from llm_backend.contract.answers import ResponseSchemas
from llm_backend.contract.contract import Contract
from llm_backend.contract.defaults import refuse_wrong_defaults
from llm_backend.contract.documents import merge
from llm_backend.domain.clock import Clock, SystemClock
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.services import Services
from llm_backend.edge.admission import Admission, Edge
from llm_backend.edge.cors import Cors
from llm_backend.edge.guard import Bounds, Guard, Patience
from llm_backend.metrics import Metrics
from llm_backend.parts import Parts
from llm_backend.reloading import Reloading
from llm_backend.resources import resource
from llm_backend.settings import Settings, Source, Upstream
from llm_backend.stopping import Stopping
from llm_backend.upstream.wire import Transport

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What a server without keys is called by."""

YOUNG_OBJECTS = 5_000
"""More of them since the last look than this are looked through: some two milliseconds, in which nobody is answered."""


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    transport_of: Callable[[Upstream], Transport] = transport_of,
    source: Source | None = None,
) -> Edge:
    """Everything, built from `settings`; `transport_of` makes the way to each upstream.

    `source`: where they are read again while it runs; None: nowhere.
    Raises ContractError where the documents, the policy, the handlers and the models' defaults do not fit together.
    """
    contract = _agreed(settings)
    admission = Admission(settings.limits.max_concurrent_requests)
    metrics = Metrics()
    reloading = Reloading(settings, source, metrics)
    judge = Judge(_response_schemas().fault_in, metrics) if settings.responses.check else None
    parts = Parts(
        settings, contract.document, clock or SystemClock(), transport_of, admission, metrics, reloading, judge
    )
    stopping = Stopping()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[dict[str, Services]]:
        async with AsyncExitStack() as stack:
            services = await parts.open(stack)
            stopping.add(services)
            yield {"services": services}

    guard = Guard(
        LifespanMiddleware(_answering(contract, direct=settings.direct_routing), lifespan=lifespan),
        bounds=_bounds(contract, settings),
        rewriting=contract.rewriting,
        signposts=contract.signposts,
        admission=admission,
        count=metrics.count,
        plain_roots=contract.plain_roots,
    )
    return Edge(Cors(guard, settings.cors_origins), admission, stopping, reloading.ask)


def from_environment() -> Edge:
    """The application of one server process, which reads its settings itself."""
    source = Source()
    settings = source.load()
    logs.configure(settings.log_level, secrets=settings.secrets, prompts=settings.log.prompts)
    app = create_app(settings, source=source)
    # What was made in passing goes, once; the rest stays, and whoever loads this has it frozen.
    gc.collect()
    # A request leaves few cycles and makes many objects: looked through at every 700, they cost three times as much.
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    return app


def _agreed(settings: Settings) -> Contract:
    if settings.defaults:
        # Of a document made for this alone: of the one that is served, only the text is kept.
        refuse_wrong_defaults(merge(resource("spec")), settings.defaults)
    return _contract(docs=settings.docs, unmetered=settings.relay.unmetered)


@cache
def _contract(*, docs: bool, unmetered: tuple[str, ...]) -> Contract:
    """The same for every application of a process."""
    return Contract.of(merge(resource("spec"), docs=docs, unmetered=unmetered))


@cache
def _response_schemas() -> ResponseSchemas:
    """The same too; of a document made for this alone, as nobody else keeps what is said of answers."""
    return ResponseSchemas(merge(resource("spec")))


@cache
def _answering(contract: Contract, *, direct: bool) -> ASGIApp:
    """The same too."""
    return contract.answering(direct=direct)


def _bounds(contract: Contract, settings: Settings) -> Bounds:
    return Bounds(
        contract.body_limit,
        LOCAL_HOSTS if settings.auth == "open" and not settings.auth_open_everywhere else None,
        Patience(body_progress_seconds=settings.limits.body_seconds),
    )
