"""Statements on API keys. A key itself is never here: what recognises it is, and it encrypted where that is wanted."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import lists
from llm_backend.storage.budgets import Renewal
from llm_backend.storage.driver import Hot, Plan
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import ADOPTED, account, api_key


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key."""

    public_id: str
    account_id: int
    name: str
    last4: str
    digest: bytes
    """HMAC-SHA256 of the whole key under the pepper of `pepper_version`."""
    pepper_version: int
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_on: date | None = None
    revoked_at: datetime | None = None
    models: list[str] | None = None
    """The model ids that it may use; None for all."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    trusted_frontend: bool = False
    """Whether its requests may say for whom they are."""
    end_user_token_limit: int | None = None
    """Of each of those, as the next five."""
    end_user_microusd_limit: int | None = None
    end_user_renewal: Renewal = "never"
    end_user_requests_per_minute: int | None = None
    end_user_tokens_per_minute: int | None = None
    end_user_concurrent_requests: int | None = None
    sealed: bytes | None = None
    """The key itself, encrypted; None where keys are not kept recoverable."""

    @property
    def masked(self) -> str:
        """What may be shown of it: `sk-lb-<public id>…<its last four letters>`."""
        return f"sk-lb-{self.public_id}…{self.last4}"

    def is_in_use(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Holder:
    """A key, and the account that it opens, with that account's limits."""

    key: Key
    account_name: str
    is_active: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    fits: bool
    stores: bool


COLUMNS = [column for column in api_key.c if column.name != "id"]

OF_ACCOUNT = {
    "account_name": account.c.name,
    "is_active": account.c.active,
    "requests_per_minute": account.c.requests_per_minute,
    "tokens_per_minute": account.c.tokens_per_minute,
    "fits": account.c.fits,
    "stores": account.c.stores,
    "concurrent_requests": account.c.concurrent_requests,
}
"""What a holder has of its account, by the holder's names."""


async def add(session: AsyncSession, key: Key) -> None:
    """A new key; the unique index raises where its public id is taken."""
    values = {column.name: getattr(key, column.name) for column in COLUMNS}
    await session.execute(insert(api_key).values(values))


async def find(session: AsyncSession, public_id: str) -> Holder | None:
    """The key and its account, whatever state either is in."""
    row = (await session.execute(_held(api_key.c.public_id == public_id))).mappings().first()
    return None if row is None else _holder(row)


def finding(public_ids: Collection[str], *, is_sqlite: bool) -> Plan[dict[str, Holder]]:
    """As `find`, of several at once and on the driver itself: what every caller is asked for."""
    hot = _hot(is_sqlite=is_sqlite)
    rows = yield hot, {"wanted": lists.written(public_ids, is_sqlite=is_sqlite)}
    holders = [_holder(hot.read(row)) for row in rows]
    return {holder.key.public_id: holder for holder in holders}


def noting(public_ids: Collection[str], day: date, *, is_sqlite: bool) -> Plan[None]:
    """Keep the last day on which keys were used; it never goes back."""
    # In one order for everyone: nobody waits crosswise.
    yield _noted(is_sqlite=is_sqlite), [{"used": each, "today": day} for each in sorted(public_ids)]


async def of_account(
    session: AsyncSession, account_id: int, after: str | None = None, limit: int | None = None
) -> list[Key]:
    """The account's keys, oldest first, revoked ones too: all, or the first `limit` of those behind the key `after`.

    Behind one that the account does not have there is none.
    """
    own = select(*COLUMNS).where(api_key.c.account_id == account_id)
    if after is not None:
        mark = select(api_key.c.id).where(api_key.c.public_id == after, api_key.c.account_id == account_id)
        own = own.where(api_key.c.id > mark.scalar_subquery())
    return [Key(**row) for row in (await session.execute(own.order_by(api_key.c.id).limit(limit))).mappings()]


async def oldest_in_use(session: AsyncSession, account_id: int, now: datetime) -> Key | None:
    """The account's first key that is neither revoked nor expired."""
    own = select(*COLUMNS).where(api_key.c.account_id == account_id, *_is_in_use(now))
    row = (await session.execute(own.order_by(api_key.c.id).limit(1))).mappings().first()
    return Key(**row) if row else None


async def first_in_use(session: AsyncSession, now: datetime) -> dict[int, Key]:
    """Of each account that has one, by the account's number, its oldest key that is neither revoked nor expired."""
    first = select(func.min(api_key.c.id)).where(*_is_in_use(now)).group_by(api_key.c.account_id)
    rows = await session.execute(select(*COLUMNS).where(api_key.c.id.in_(first)))
    found = [Key(**row) for row in rows.mappings()]
    return {key.account_id: key for key in found}


async def adopted(session: AsyncSession, pepper_version: int) -> frozenset[str]:
    """The public ids of the keys that came from another system, under that pepper, and are not revoked."""
    of_theirs = text(f"api_key.{ADOPTED}"), api_key.c.pepper_version == pepper_version
    query = select(api_key.c.public_id).where(*of_theirs, api_key.c.revoked_at.is_(None))
    return frozenset((await session.execute(query)).scalars())


async def lock(session: AsyncSession, public_id: str) -> Key | None:
    """The key, changed by nobody else until the transaction ends."""
    query = select(*COLUMNS).where(api_key.c.public_id == public_id).with_for_update()
    row = (await session.execute(query)).mappings().first()
    return Key(**row) if row else None


async def change(session: AsyncSession, public_id: str, values: dict[str, Any]) -> None:
    """Put `values` in the place of what the key had."""
    await session.execute(update(api_key).where(api_key.c.public_id == public_id).values(values))


async def revoke(session: AsyncSession, public_id: str) -> datetime | None:
    """When this revoked it, by the database's clock: from here on it is refused, and cannot be read again.

    None where it was revoked before: the first time stays.
    """
    not_yet = api_key.c.public_id == public_id, api_key.c.revoked_at.is_(None)
    revoked = update(api_key).where(*not_yet).values(revoked_at=db_now(), sealed=None).returning(api_key.c.revoked_at)
    row = (await session.execute(revoked)).first()
    return row.revoked_at if row else None


def _is_in_use(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return api_key.c.revoked_at.is_(None), or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now)


def _held(of_these: ColumnElement[bool]) -> Select[Any]:
    beside = [column.label(f"account_{name}") for name, column in OF_ACCOUNT.items()]
    return select(*COLUMNS, *beside).join_from(api_key, account).where(of_these)


@cache
def _hot(*, is_sqlite: bool) -> Hot:
    return Hot(_held(lists.within(api_key.c.public_id, "wanted", Text, is_sqlite=is_sqlite)), is_sqlite=is_sqlite)


@cache
def _noted(*, is_sqlite: bool) -> Hot:
    today = bindparam("today", type_=api_key.c.last_used_on.type)
    earlier = or_(api_key.c.last_used_on.is_(None), api_key.c.last_used_on < today)
    used = api_key.c.public_id == bindparam("used", type_=api_key.c.public_id.type)
    return Hot(update(api_key).where(used, earlier).values(last_used_on=today), is_sqlite=is_sqlite)


def _holder(row: Mapping[Any, Any]) -> Holder:
    key = Key(**{column.name: row[column.name] for column in COLUMNS})
    return Holder(key, **{name: row[f"account_{name}"] for name in OF_ACCOUNT})
