"""The composition root: the one place where the parts meet."""

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import cast

from connexion.apps.asynchronous import AsyncApp
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.lifespan import Lifespan, LifespanMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.uri_parsing import AbstractURIParser

from llm_backend import logs
from llm_backend.contract.bodies import body_limit
from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import merge, refuse_unknown_authenticators
from llm_backend.contract.error_styles import plain_roots
from llm_backend.contract.routing import resolver
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.domain.account_budgets import AccountBudgets
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.asking import CHAT_COMPLETION, TEXT_COMPLETION, Customs, Desk
from llm_backend.domain.authentication import AdminToken, Authentication, OpenDoor
from llm_backend.domain.batches import Batches
from llm_backend.domain.chats import Chats
from llm_backend.domain.clock import Clock, SystemClock
from llm_backend.domain.directory import Directory
from llm_backend.domain.document import Document
from llm_backend.domain.erasure import Erasure
from llm_backend.domain.estimates import Estimates
from llm_backend.domain.exchange import Bench
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.explanations import Explanations
from llm_backend.domain.exports import Exports
from llm_backend.domain.idempotency import Idempotency
from llm_backend.domain.keys import Keys
from llm_backend.domain.metering import Metering
from llm_backend.domain.prices import Dated, Prices
from llm_backend.domain.readiness import Readiness
from llm_backend.domain.reports import Reports
from llm_backend.domain.secrets import Secrets, unlock
from llm_backend.domain.services import Services
from llm_backend.domain.streams import StreamLimits
from llm_backend.domain.usage import Price
from llm_backend.domain.users import Users
from llm_backend.edge.admission import Admission, Edge
from llm_backend.edge.auth import CHECKS, SECURITY_MAP
from llm_backend.edge.cors import Cors
from llm_backend.edge.guard import Bounds, Guard, Patience
from llm_backend.edge.rewriting import Rewriting
from llm_backend.errors import Json
from llm_backend.metrics import Metrics
from llm_backend.resources import resource
from llm_backend.settings import ModelSettings, PriceTable, Settings, load_settings
from llm_backend.storage.database import Database
from llm_backend.upstream.catalogue import Catalogue, Model
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.wire import Transport

OPEN_ACCOUNT = "open"
"""Whom everything is recorded for where no key is asked for."""

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


def create_app(settings: Settings, *, clock: Clock | None = None, transport: Transport | None = None) -> Edge:
    """Everything, built from `settings`. `transport` takes the place of the configured upstream's.

    Raises ContractError where the documents, the policy and the handlers do not fit together.
    """
    document = merge(resource("spec"), docs=settings.docs)
    refuse_unknown_authenticators(document, CHECKS)
    admission = Admission(settings.limits.max_concurrent_requests)
    metrics = Metrics()
    parts = Parts(settings, clock or SystemClock(), transport or _transport(settings), admission, metrics)
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


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes the parts that need a running loop."""

    settings: Settings
    clock: Clock
    transport: Transport
    admission: Admission
    metrics: Metrics

    async def open(self, stack: AsyncExitStack, document: Document) -> Services:
        """All of them; `stack` lets go of them in the opposite order."""
        settings = self.settings
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        if settings.metrics_port is not None:
            stack.callback(self.metrics.serve(settings.host, settings.metrics_port))
        upstream = self._upstream()
        stack.push_async_callback(upstream.close)
        catalogue = self._catalogue(upstream)
        stack.push_async_callback(catalogue.close)
        metering = Metering(database, _prices(settings, self.clock), self.clock, self.metrics)
        bench = Bench(metering, Estimates(), self.clock, settings.timeouts.total_seconds, settings.log.prompts)
        exchanges = Exchanges(catalogue, bench, _stream_limits(settings), self.metrics)
        stack.push_async_callback(exchanges.close)
        secrets = await self._secrets(database)
        keys = Keys(database, secrets, self.clock, recoverable=settings.keys.recoverable)
        accounts = Accounts(database, self.clock, default_tokens=settings.budgets.default_tokens)
        return Services(
            authentication=await self._authentication(accounts, keys),
            accounts=accounts,
            batches=Batches(database, accounts, keys, self.clock),
            budgets=AccountBudgets(database, self.clock),
            keys=keys,
            users=Users(database, self.clock),
            directory=Directory(database, self.clock),
            reports=Reports(database, self.clock),
            explanations=Explanations(database),
            exports=Exports(database, self.clock),
            erasure=Erasure(database, accounts, self.clock),
            admin=AdminToken([token.get_secret_value() for token in settings.admin_tokens], self.clock),
            catalogue=catalogue,
            exchanges=exchanges,
            chats=Chats(Desk(database, self.clock, catalogue, exchanges, _customs(settings))),
            idempotency=Idempotency(database, secrets),
            readiness=Readiness(database, upstream, lambda: self.admission.is_draining),
            metrics=self.metrics,
            document=document,
        )

    def _upstream(self) -> Upstream:
        key = self.settings.upstream.key
        return Upstream(
            self.settings.upstream.name,
            self.transport,
            timeouts=_timeouts(self.settings),
            circuit=Circuit(self.clock.monotonic),
            secrets=(key.get_secret_value(),) if key else (),
        )

    def _catalogue(self, upstream: Upstream) -> Catalogue:
        return Catalogue(
            upstream,
            models=[_model(name, model) for name, model in self.settings.models.items()],
            aliases=self.settings.aliases,
            default_model=self.settings.default_model,
            clock=self.clock.monotonic,
        )

    async def _secrets(self, database: Database) -> Secrets:
        key = self.settings.secret_key
        return await unlock(database, key.get_secret_value() if key else None, self.clock)

    async def _authentication(self, accounts: Accounts, keys: Keys) -> Authentication | OpenDoor:
        if self.settings.auth == "open":
            return OpenDoor(await accounts.ensure(OPEN_ACCOUNT))
        return Authentication(keys, self.clock)


def _transport(settings: Settings) -> Transport:
    """The configured upstream's: HTTP, or the echo model in this process."""
    upstream = settings.upstream
    if upstream.url is None:
        return EchoTransport(Echo())
    key = upstream.key.get_secret_value() if upstream.key else None
    connect_seconds = settings.timeouts.connect_seconds
    return HttpTransport(upstream.url, key, connect_seconds=connect_seconds, allow_http=upstream.allow_http)


def _timeouts(settings: Settings) -> Timeouts:
    configured = settings.timeouts
    return Timeouts(
        connect=configured.connect_seconds,
        first_byte=configured.first_byte_seconds,
        first_byte_streamed=configured.stream_first_byte_seconds,
        idle=configured.idle_seconds,
        total=configured.total_seconds,
        total_streamed=configured.stream_total_seconds,
    )


def _model(name: str, model: ModelSettings) -> Model:
    return Model(
        name,
        model.upstream_model or name,
        context_length=model.context_length,
        max_output_tokens=model.max_output_tokens,
    )


def _prices(settings: Settings, clock: Clock) -> Prices:
    """Of every model, its own price first and then those that have a date."""
    dated = {
        name: [_dated(date.min, model), *(_dated(later.starts, later) for later in model.prices)]
        for name, model in settings.models.items()
    }
    return Prices(dated, clock.now)


def _dated(starts: date, table: PriceTable) -> Dated:
    return Dated(starts, Price.from_json(table.rates) if table.rates else None)


def _customs(settings: Settings) -> Customs:
    """What holds below `/api/chats`."""
    chats = settings.chats
    return Customs(
        models={CHAT_COMPLETION: chats.chat_model, TEXT_COMPLETION: chats.text_model},
        default_model=settings.default_model,
        temperature=chats.temperature,
        prefixes={
            "system": chats.prefixes.instruction,
            "user": chats.prefixes.user,
            "assistant": chats.prefixes.assistant,
        },
        soft_limit_percent=settings.budgets.soft_limit_percent,
    )


def _stream_limits(settings: Settings) -> StreamLimits:
    limits = settings.limits
    return StreamLimits(
        queue_bytes=limits.stream_queue_bytes,
        stall_seconds=limits.stall_seconds,
        keep_alive_seconds=limits.keep_alive_seconds,
    )
