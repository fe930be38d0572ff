"""Requests that are answered once, however often they are sent: who has an idempotency key, and what came of it."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.results import RESULT_LIMIT, ResultDamaged, ResultDeleted, Results, Told
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import (
    ClientLeft,
    IdempotencyConflict,
    IdempotencyKeyReused,
    LLMBackendError,
    Unavailable,
    UpstreamRejected,
)
from llm_backend.storage import idempotency as storage
from llm_backend.storage.database import Database
from llm_backend.storage.idempotency import Claim, Held

PARAM = "Idempotency-Key"
ADMIN = "admin"
"""Who holds the administrator's keys."""

LEASE_SECONDS = 60.0
"""How long a request is believed to run after its process last said so."""

RENEWALS = 3
"""Within the time of one lease."""

THE_REQUESTS_OWN = frozenset({400, 413, 415, 422})
"""Statuses by which an upstream refuses a request that it would refuse again."""

log = structlog.get_logger("llm_backend.idempotency")


Tell = Callable[[LLMBackendError], Told]
"""How an error is told to the client."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that bears a key."""

    account_id: int | None
    """None for the administrator."""
    key: str
    fingerprint: bytes
    request_id: str

    @property
    def holder(self) -> str:
        return ADMIN if self.account_id is None else f"account:{self.account_id}"


class Idempotency:
    """Lets one request of each holder and key through, and tells the others what that one came to."""

    def __init__(self, database: Database, secrets: Secrets, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._hash_key = secrets.derive("idem-hash")
        self.results = Results(secrets)
        self.lease_seconds = lease_seconds

    async def claim(self, keyed: Keyed, tell: Tell) -> "Once | Told":
        """The right to run the request, or what it came to before.

        Raises IdempotencyKeyReused for another request under the same key, IdempotencyConflict where the first one
        still runs or left nothing that could be told, NotFound where what it made was deleted, and Internal where what
        it left cannot be read.
        """
        key_hash = hmac.digest(self._hash_key, keyed.key.encode(), "sha256")
        claim = Claim(keyed.holder, key_hash, keyed.fingerprint, keyed.request_id, token_hex(16))
        held = await self._database.detached(self._take(claim, keyed.account_id))
        if held is not None:
            return self._told(held, claim)
        return Once(self, claim, tell)

    async def write(self, statement: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """Write in a transaction of its own; what cannot be written now is left to the end of the lease."""
        try:
            await self._database.detached(self._written(statement))
        except Unavailable:
            log.warning("idempotency_unwritten")

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` beside everything else."""
        self._database.start(work)

    async def _written(self, statement: Callable[[AsyncSession], Awaitable[None]]) -> None:
        async with self._database.begin() as session:
            await statement(session)

    async def _take(self, claim: Claim, account_id: int | None) -> Held | None:
        """Take the key and return None, or whoever stands in the way."""
        async with self._database.begin() as session:
            while not await storage.add(session, claim, self.lease_seconds):
                held = await storage.find(session, claim)
                if held is None:
                    continue  # released between the two statements
                if (standing := await self._standing(session, held, claim, account_id)) is not None:
                    return standing
                await storage.take_over(session, claim, self.lease_seconds)
                break
            return None

    async def _standing(self, session: AsyncSession, held: Held, claim: Claim, account_id: int | None) -> Held | None:
        """Who has the key, as things stand now; None where it is free again."""
        if held.is_over and not held.is_alive:
            return None
        has_died = held.state == "running" and not held.is_alive
        if not has_died or held.fingerprint != claim.fingerprint:
            return held
        if account_id is None:
            return None
        if any(_request_of(details) == held.request_id for details in await storage.open_details(session, account_id)):
            return held  # until somebody settles in its place what it had reserved
        if await storage.was_charged(session, account_id, held):
            await storage.spoil_left(session, claim)
            return replace(held, state="broken")
        return None

    def _told(self, held: Held, claim: Claim) -> Told:
        """What the request of `held` came to. Raises as `claim`."""
        if held.fingerprint != claim.fingerprint:
            raise IdempotencyKeyReused("This idempotency key was sent before, with another request.", param=PARAM)
        if held.state == "running":
            raise IdempotencyConflict(
                "The first request with this idempotency key still runs.",
                param=PARAM,
                code="idempotency_in_progress",
                retry_after_seconds=1,
            )
        if held.state == "broken":
            raise _final(
                "The first request with this idempotency key ended before its answer was complete, and was charged. "
                "To try again, send another key.",
                "previous_attempt_incomplete",
            )
        if held.status is None:
            raise ResultDeleted(PARAM)
        if held.result is None:
            raise _final(
                f"The first request with this idempotency key was answered with more than {RESULT_LIMIT} bytes, which "
                "is too large to keep. It is not run again.",
                "idempotency_result_too_large",
            )
        told = self.results.open(held.status, held.result, claim)
        if told is None:
            # Never run again: it was paid.
            log.critical("idempotency_result_damaged", holder=claim.holder, request_id=held.request_id)
            raise ResultDamaged
        return told


class Once:
    """The right to run one request: held until it is known what the request came to.

    What reaches an upstream tells it in the transaction that settles the attempt (`keep`, `fail`), everything else
    right after it was answered (`answered`, `refused`). Of a request that costs nothing and may be sent again nothing
    is kept.
    """

    def __init__(self, idempotency: Idempotency, claim: Claim, tell: Tell) -> None:
        self._idempotency = idempotency
        self._claim = claim
        self._tell = tell
        self._blocks: list[bytes] = []
        self._size = 0
        self._is_charged = False
        self._is_noted = False
        self._is_made_later = False
        self._made_id: str | None = None
        self._renewing = asyncio.create_task(self._renew(), name=f"idempotency {claim.request_id}")

    def record(self, block: bytes) -> None:
        """Note a piece of the answer that the client gets, or would have got had it stayed."""
        self._size += len(block)
        if self._size <= RESULT_LIMIT:
            self._blocks.append(block)
        else:
            # Too large to be told again: nothing of it is needed.
            self._blocks.clear()

    def charged(self) -> None:
        """Note that it is charged, where the client gets something else than the upstream's answer: see `answered`."""
        self._is_charged = self._is_made_later = True

    def makes(self, made_id: str) -> None:
        """Note the public id of the response or conversation that keeps what the client gets, made now or before.

        When that is deleted, the answer is told no more.
        """
        self._made_id = made_id

    async def keep(
        self, session: AsyncSession, status: int, content_type: str, body: bytes | None, ending: bytes = b""
    ) -> None:
        """Keep the answer, in the transaction that settles it.

        `body` None stands for what was recorded so far, and `ending` behind it.

        Nothing is kept yet where the client gets something else.
        """
        if self._is_made_later:
            return
        self._is_charged = self._is_noted = True
        told = Told(status, content_type, b"".join((*self._blocks, ending)) if body is None else body)
        result = None if self._size > RESULT_LIMIT else self._idempotency.results.seal(told, self._claim)
        await storage.finish(session, self._claim, status, result, self._made_id)

    async def fail(self, session: AsyncSession, error: LLMBackendError | None, *, charged: bool) -> None:
        """Keep what became of it, in the transaction that settles it; nothing where nothing was charged.

        An answer that broke off, or that its client did not wait for, cannot be told again. Another attempt may follow:
        what is kept last counts.
        """
        if not charged:
            return
        self._is_charged = self._is_noted = True
        if error is None or self._size or isinstance(error, ClientLeft | Unavailable):
            await storage.spoil(session, self._claim)
            return
        told = self._tell(error)
        await storage.finish(session, self._claim, told.status, self._idempotency.results.seal(told, self._claim))

    async def answered(self, told: Told) -> None:
        """Keep the answer that the handler gave, unless it was kept when it was settled."""
        self.leave()
        if not self._is_noted:
            result, made_id = self._idempotency.results.seal(told, self._claim), self._made_id
            await self._idempotency.write(
                lambda session: storage.finish(session, self._claim, told.status, result, made_id)
            )

    async def refused(self, error: LLMBackendError | None) -> None:
        """Keep an upstream's refusal that would always be the same; otherwise let the request be sent again.

        Our own are not kept: what is asked for may be free, allowed or there a moment later, and asking costs nothing.
        """
        self.leave()
        if self._is_noted:
            return
        told = self._tell(error) if isinstance(error, UpstreamRejected) else None
        if self._is_charged:
            await self._idempotency.write(lambda session: storage.spoil(session, self._claim))
        elif told is not None and told.status in THE_REQUESTS_OWN:
            result = self._idempotency.results.seal(told, self._claim)
            await self._idempotency.write(lambda session: storage.finish(session, self._claim, told.status, result))
        else:
            await self._idempotency.write(lambda session: storage.release(session, self._claim))

    def follow(self, settled: Coroutine[Any, Any, None]) -> None:
        """Let the request be sent again when `settled` returns and nothing was charged; whoever asked may leave."""
        self._idempotency.start(self._followed(settled))

    def leave(self) -> None:
        """Say no more that the request runs."""
        self._renewing.cancel()

    async def _followed(self, settled: Coroutine[Any, Any, None]) -> None:
        await settled
        await self.refused(None)

    async def _renew(self) -> None:
        lease = self._idempotency.lease_seconds
        while True:
            await asyncio.sleep(lease / RENEWALS)
            await self._idempotency.write(lambda session: storage.renew(session, self._claim, lease))


def _final(message: str, code: str) -> IdempotencyConflict:
    return IdempotencyConflict(message, param=PARAM, code=code, should_retry=False)


def _request_of(details: bytes) -> str | None:
    found: str | None = orjson.loads(details).get("request_id")
    return found
