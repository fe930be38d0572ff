"""Statements on idempotency keys: which requests are under way, and what those that ended came to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, exists, not_, select, tuple_, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from llm_backend.storage.database import insert_once
from llm_backend.storage.ledger_tables import IS_OPEN
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import conversation, idempotency_key, reservation, response, usage_record

KEPT_SECONDS = 24 * 3600
"""From a key's first use to the moment at which it is as if never used."""

SLACK = timedelta(hours=1)
"""How far the clock that ends an attempt may lie behind the database's."""

PURGED_AT_ONCE = 500

FORGOTTEN = {"status": None, "result": None, "made_id": None}
"""Of a request that is done whose answer is not told again: what it made was deleted."""

_KEY = ("holder", "key_hash")
_C = idempotency_key.c


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's hold on a key: `owner` is made for it, and is no other's."""

    holder: str
    """`account:<id>`, or `admin`."""
    key_hash: bytes
    fingerprint: bytes
    request_id: str
    owner: str


@dataclass(frozen=True, slots=True)
class Held:
    """A key that was used before."""

    fingerprint: bytes
    request_id: str
    state: str
    status: int | None
    """None of one that is done: what it made was deleted."""
    result: bytes | None
    created_at: datetime
    is_alive: bool
    """Whether whoever runs its request is believed to live."""
    is_over: bool
    """Whether it was kept for as long as keys are kept."""


async def add(session: AsyncSession, claim: Claim, lease_seconds: float) -> bool:
    """Hold the key, if nobody ever did; whether it is held now."""
    added = await session.execute(insert_once(session, idempotency_key, _begun(claim, lease_seconds), _KEY))
    return added.first() is not None


async def find(session: AsyncSession, claim: Claim) -> Held | None:
    """Whoever has the key; nobody else learns of it or takes it before this transaction ends."""
    is_alive = and_(_C.state == "running", _C.lease_until > db_now())
    asked = (
        select(
            _C.fingerprint,
            _C.request_id,
            _C.state,
            _C.status,
            _C.result,
            _C.created_at,
            is_alive.label("is_alive"),
            (_C.expires_at <= db_now()).label("is_over"),
        )
        .where(_is_key(claim))
        .with_for_update()
    )
    row = (await session.execute(asked)).mappings().first()
    return Held(**row) if row else None


async def take_over(session: AsyncSession, claim: Claim, lease_seconds: float) -> None:
    """Hold the key in the place of whoever had it."""
    anew: dict[str, Any] = {**FORGOTTEN, **_begun(claim, lease_seconds)}
    await session.execute(update(idempotency_key).where(_is_key(claim)).values(anew))


async def renew(session: AsyncSession, claim: Claim, lease_seconds: float) -> None:
    """Say that the request still runs."""
    await session.execute(
        update(idempotency_key)
        .where(_is_held_by(claim), _C.state == "running")
        .values(lease_until=db_now(lease_seconds))
    )


async def finish(
    session: AsyncSession, claim: Claim, status: int, result: bytes | None, made_id: str | None = None
) -> None:
    """Keep what the request came to. Does nothing where the key was taken over.

    `made_id`: what `forget` is told of when it is deleted. Where it was already, nothing is kept.
    """
    done: dict[str, Any] = {"state": "done", "status": status, "result": result, "made_id": made_id}
    if made_id is not None and not await _is_there(session, made_id):
        done |= FORGOTTEN
    await session.execute(update(idempotency_key).where(_is_held_by(claim)).values(done))


async def forget(session: AsyncSession, made_ids: Collection[str] | Select[Any]) -> None:
    """Keep no longer what the requests were answered that made these; their keys stay used.

    In the transaction that deletes these, while nobody else can change them.
    """
    await session.execute(update(idempotency_key).where(_C.made_id.in_(made_ids)).values(FORGOTTEN))


async def spoil(session: AsyncSession, claim: Claim) -> None:
    """Note that the request ended without a result, and has to be paid. Does nothing where the key was taken over."""
    broken = {"state": "broken", "status": None, "result": None}
    await session.execute(update(idempotency_key).where(_is_held_by(claim)).values(broken))


async def spoil_left(session: AsyncSession, claim: Claim) -> None:
    """As `spoil`, for the one who died and whose key `claim` asks for."""
    await session.execute(update(idempotency_key).where(_is_key(claim)).values(state="broken"))


async def release(session: AsyncSession, claim: Claim) -> None:
    """Forget a request of which nothing is to be kept. Does nothing where something is."""
    await session.execute(delete(idempotency_key).where(_is_held_by(claim), _C.state == "running"))


async def open_details(session: AsyncSession, account_id: int) -> list[bytes]:
    """The details of each attempt of the account that is neither settled nor voided."""
    found = select(reservation.c.details).where(reservation.c.account_id == account_id, IS_OPEN)
    return list((await session.execute(found)).scalars())


async def was_charged(session: AsyncSession, account_id: int, held: Held) -> bool:
    """Whether the account has to pay for the request that had the key."""
    charged = exists().where(
        usage_record.c.account_id == account_id,
        usage_record.c.ended_at >= held.created_at - SLACK,
        usage_record.c.request_id == held.request_id,
        usage_record.c.basis != "void",
    )
    return bool((await session.execute(select(charged))).scalar_one())


async def purge(session: AsyncSession) -> int:
    """Forget some of the keys that were kept long enough, none of which still runs; how many."""
    is_alive = and_(_C.state == "running", _C.lease_until > db_now())
    # Asked once: PostgreSQL finds by an index what is told one moment, and not what asks the clock at each row.
    now = select(db_now()).scalar_subquery()
    old = (
        select(*(_C[name] for name in _KEY))
        .where(_C.expires_at <= now, not_(is_alive))
        .limit(PURGED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    columns = tuple_(*(_C[name] for name in _KEY))
    purged: CursorResult[Any] = await session.execute(delete(idempotency_key).where(columns.in_(old)))  # type: ignore[assignment]
    return purged.rowcount


async def _is_there(session: AsyncSession, made_id: str) -> bool:
    """Whether it is kept; nobody deletes it then before this transaction ends."""
    for table in (response, conversation):
        one = select(table.c.id).where(table.c.public_id == made_id)
        if (await session.execute(one.with_for_update(read=True, key_share=True))).first() is not None:
            return True
    return False


def _begun(claim: Claim, lease_seconds: float) -> dict[str, Any]:
    return {
        "holder": claim.holder,
        "key_hash": claim.key_hash,
        "fingerprint": claim.fingerprint,
        "request_id": claim.request_id,
        "state": "running",
        "owner": claim.owner,
        "lease_until": db_now(lease_seconds),
        "created_at": db_now(),
        "expires_at": db_now(KEPT_SECONDS),
    }


def _is_key(claim: Claim) -> ColumnElement[bool]:
    return and_(_C.holder == claim.holder, _C.key_hash == claim.key_hash)


def _is_held_by(claim: Claim) -> ColumnElement[bool]:
    return and_(_is_key(claim), _C.owner == claim.owner)
