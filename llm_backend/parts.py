"""The parts, made from the settings: what needs a running loop is made when the server starts."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from llm_backend.configured import allowances, customs, stream_limits, terms, total_seconds
from llm_backend.domain.account_budgets import AccountBudgets
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.allowances import Allowance
from llm_backend.domain.asking import Desk
from llm_backend.domain.authentication import AdminToken, Authentication, OpenDoor
from llm_backend.domain.backlog import Backlog
from llm_backend.domain.batches import Batches
from llm_backend.domain.bench import Bench
from llm_backend.domain.chats import Chats
from llm_backend.domain.clock import Clock, uuid7
from llm_backend.domain.directory import Directory
from llm_backend.domain.doctor import DailyCheck
from llm_backend.domain.document import Document
from llm_backend.domain.erasure import Erasure
from llm_backend.domain.estimates import Estimates
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.explanations import Explanations
from llm_backend.domain.exports import Exports
from llm_backend.domain.frontends import Frontends
from llm_backend.domain.idempotency import Idempotency
from llm_backend.domain.keys import Keys
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.limits import Limits
from llm_backend.domain.metering import Metering
from llm_backend.domain.own_lists import OwnLists
from llm_backend.domain.ownership import Ownership
from llm_backend.domain.readiness import Readiness
from llm_backend.domain.relaying import Gate, Relaying
from llm_backend.domain.reports import Reports
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.retention import Retention
from llm_backend.domain.rounds import Rounds
from llm_backend.domain.secrets import Secrets, unlock
from llm_backend.domain.services import Services
from llm_backend.domain.tokenizer import Folder, Tokenizer
from llm_backend.domain.upkeep import Upkeep
from llm_backend.domain.users import Users
from llm_backend.domain.webhooks import Endpoint, Webhooks
from llm_backend.edge.admission import Admission
from llm_backend.metrics import Metrics
from llm_backend.reloading import LOOK_SECONDS, Reloading, Routing
from llm_backend.responding import Kept, Responding
from llm_backend.settings import Settings, Upstream
from llm_backend.storage.claims import Claim
from llm_backend.storage.database import Database
from llm_backend.storage.sharing_buckets import make_buckets
from llm_backend.upstream.wire import Transport

log = structlog.get_logger("llm_backend.parts")

OPEN_ACCOUNT = "open"
"""Whom everything is recorded for where no key is asked for."""

BEAT_SECONDS = 1.0
SWEEP_SECONDS = 10.0
TIDY_SECONDS = 3600.0
DAY_SECONDS = 86_400.0
CHECK_AFTER_SECONDS = 300.0
"""After a start the books are checked: not while everyone comes back at once."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes the parts that need a running loop."""

    settings: Settings
    document: Document
    clock: Clock
    transport_of: Callable[[Upstream], Transport]
    """Makes the way to an upstream."""
    admission: Admission
    metrics: Metrics
    reloading: Reloading
    judge: Judge | None = None
    """Looks at what is told of responses; None: nobody does."""

    async def open(self, stack: AsyncExitStack) -> Services:
        """All of them; `stack` lets go of them in the opposite order."""
        settings = self.settings
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        alone = _is_alone(stack, database)
        if settings.metrics_port is not None:
            stack.callback(self.metrics.serve(settings.host, settings.metrics_port))
        routing = self._routing(stack)
        # Before anything is settled for those who ran before: a server with another secret does not start.
        secrets = await self._secrets(database)
        exchanges = await self._exchanges(stack, database, routing, alone=alone)
        relaying = self._relaying(database, routing)
        responding = Responding(
            database, self.clock, routing.catalogue, exchanges, relaying, secrets, self.judge, self._is_draining
        )
        kept = responding.open(stack, alone=alone)
        return await self._services(database, routing, secrets, exchanges, relaying, kept)

    async def _services(  # noqa: PLR0913, PLR0917 (what the others are made of, or that are among them)
        self,
        database: Database,
        routing: Routing,
        secrets: Secrets,
        exchanges: Exchanges,
        relaying: Relaying,
        kept: Kept,
    ) -> Services:
        keys = Keys(database, secrets, self.clock, recoverable=self.settings.keys.recoverable)
        accounts = Accounts(database, self.clock, default_tokens=self.settings.budgets.default_tokens)
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
            admin=self._admin(),
            catalogue=routing.catalogue,
            upstreams=routing.upstreams,
            exchanges=exchanges,
            relaying=relaying,
            own_lists=OwnLists(relaying),
            frontends=self._frontends(),
            chats=Chats(Desk(database, self.clock, routing.catalogue, exchanges, customs(self.settings))),
            idempotency=Idempotency(database, secrets),
            readiness=Readiness(database, routing.upstreams, self._is_draining, routing.limits),
            metrics=self.metrics,
            document=self.document,
            conversations=kept.conversations,
            completions=kept.completions,
            resumable=kept.resumable,
            responses=kept.responses,
        )

    def _is_draining(self) -> bool:
        return self.admission.is_draining

    def _admin(self) -> AdminToken:
        return AdminToken([token.get_secret_value() for token in self.settings.admin_tokens], self.clock)

    def _routing(self, stack: AsyncExitStack) -> Routing:
        """The upstreams, and what is asked of which of them."""
        routing = Routing.of(self.settings, self.transport_of, self.clock, self._limits())
        for part in (routing.upstreams, routing.catalogue, routing.limits):
            stack.push_async_callback(part.close)
        return routing

    def _relaying(self, database: Database, routing: Routing) -> Relaying:
        relay = self.settings.relay
        gate = Gate(routing.limits, total_seconds(self.settings))
        ownership = Ownership(database, self.clock, passes_unknown=relay.unowned)
        return Relaying(ownership, routing.catalogue, routing.upstreams, gate, relay.upstream)

    def _frontends(self) -> Frontends:
        secret = self.settings.frontends.jwt_secret
        return Frontends(secret.get_secret_value() if secret else None, self.clock)

    async def _exchanges(
        self, stack: AsyncExitStack, database: Database, routing: Routing, *, alone: bool
    ) -> Exchanges:
        """The door to the upstreams, with the ledger behind it, which is kept up until nothing runs any more."""
        settings = self.settings
        ledger = self._ledger(stack, database)
        backlog = Backlog(ledger, settings.home / "journal", self.metrics)
        stack.push_async_callback(backlog.close)
        metering = Metering(
            ledger,
            backlog,
            routing.prices,
            self.clock,
            self.metrics,
            is_lone=lambda: self.admission.running <= 1,
        )
        tokenizer = Tokenizer(Folder(settings.tokenizers))
        stack.push_async_callback(tokenizer.close)
        bench = Bench(
            metering,
            Estimates(),
            tokenizer,
            routing.limits,
            self.clock,
            total_seconds(settings),
            settings.budgets.default_output_tokens,
            settings.log.prompts,
        )
        exchanges = Exchanges(routing.catalogue, bench, stream_limits(settings), self.metrics)
        upkeep = Upkeep(ledger, metering, backlog, exchanges)
        await upkeep.recover(alone=alone)
        # What the last exchanges leave, once the rounds are over.
        stack.push_async_callback(backlog.replay)
        rounds = Rounds()
        stack.push_async_callback(rounds.close)
        self._go_round(rounds, upkeep, routing)
        rounds.every(TIDY_SECONDS, Retention(database).tidy)
        stack.push_async_callback(exchanges.close)
        return exchanges

    def _go_round(self, rounds: Rounds, upkeep: Upkeep, routing: Routing) -> None:
        async def look() -> None:
            await self.reloading.look(routing)

        check = DailyCheck(self.settings.database_url.get_secret_value(), self.metrics)
        rounds.every(BEAT_SECONDS, upkeep.beat)
        rounds.every(BEAT_SECONDS, routing.limits.renew)
        rounds.every(LOOK_SECONDS, look)
        rounds.every(SWEEP_SECONDS, upkeep.sweep)
        rounds.every(TIDY_SECONDS, upkeep.tidy)
        rounds.every(DAY_SECONDS, check.count, first_seconds=CHECK_AFTER_SECONDS)

    def _ledger(self, stack: AsyncExitStack, database: Database) -> Ledger:
        agreed = terms(self.settings, uuid7(self.clock.now()))
        webhooks = self._webhooks(database)
        if webhooks is None:
            return Ledger(database, agreed)
        webhooks.start()
        stack.push_async_callback(webhooks.close)
        return Ledger(database, agreed, webhooks.notify)

    def _limits(self) -> Limits:
        configured = self.settings.limits
        url = self.settings.redis_url.get_secret_value() if self.settings.redis_url else None
        replicas = configured.replicas * self.settings.workers
        of_each_key = Allowance(
            configured.key_requests_per_minute, configured.key_tokens_per_minute, configured.key_concurrent_requests
        )
        return Limits(
            make_buckets(url, replicas, fails_closed=configured.fail_closed),
            self.metrics,
            of_each_key,
            allowances(self.settings),
        )

    def _webhooks(self, database: Database) -> Webhooks | None:
        budgets = self.settings.budgets
        if budgets.webhook_url is None or budgets.webhook_secret is None:
            return None
        endpoint = Endpoint.of(budgets.webhook_url, budgets.webhook_secret.get_secret_value())
        return Webhooks(database, endpoint, self.clock)

    async def _secrets(self, database: Database) -> Secrets:
        key = self.settings.secret_key
        return await unlock(database, key.get_secret_value() if key else None, self.clock)

    async def _authentication(self, accounts: Accounts, keys: Keys) -> Authentication | OpenDoor:
        if self.settings.auth == "open":
            return OpenDoor(await accounts.ensure(OPEN_ACCOUNT))
        return Authentication(keys, self.clock)


def _is_alone(stack: AsyncExitStack, database: Database) -> bool:
    """Whether nobody else has the database open: never known of a server."""
    if database.file is None:
        return False
    claim = Claim(database.file)
    stack.callback(claim.close)
    if not claim.is_alone:
        log.warning("database_is_shared", file=str(database.file), advice="one process at a time, or PostgreSQL")
    return claim.is_alone
