"""Statements on API keys. A key itself is never here: what recognises it is, and it encrypted where that is wanted."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import Renewal
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import account, api_key


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


COLUMNS = [column for column in api_key.c if column.name != "id"]

OF_ACCOUNT = {
    "account_name": account.c.name,
    "is_active": account.c.active,
    "requests_per_minute": account.c.requests_per_minute,
    "tokens_per_minute": account.c.tokens_per_minute,
    "fits": account.c.fits,
    "concurrent_requests": account.c.concurrent_requests,
}
"""What a holder has of its account, by the holder's names."""


async def add(session: AsyncSession, key: Key) -> None:
    """A new key; the unique index raises where its public id is taken."""
    values = {column.name: getattr(key, column.name) for column in COLUMNS}
    await session.execute(insert(api_key).values(values))


async def find(session: AsyncSession, public_id: str) -> Holder | None:
    """The key and its account, whatever state either is in."""
    beside = [column.label(f"account_{name}") for name, column in OF_ACCOUNT.items()]
    query = select(*COLUMNS, *beside).join_from(api_key, account).where(api_key.c.public_id == public_id)
    row = (await session.execute(query)).mappings().first()
    if row is None:
        return None
    key = Key(**{column.name: row[column.name] for column in COLUMNS})
    return Holder(key, **{name: row[f"account_{name}"] for name in OF_ACCOUNT})


async def of_account(session: AsyncSession, account_id: int) -> list[Key]:
    """The account's keys, oldest first, revoked ones too."""
    rows = await session.execute(select(*COLUMNS).where(api_key.c.account_id == account_id).order_by(api_key.c.id))
    return [Key(**row) for row in rows.mappings()]


async def first_in_use(session: AsyncSession, now: datetime) -> dict[int, Key]:
    """Of each account that has one, by the account's number, its oldest key that is neither revoked nor expired."""
    lives = or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now)
    first = select(func.min(api_key.c.id)).where(api_key.c.revoked_at.is_(None), lives).group_by(api_key.c.account_id)
    rows = await session.execute(select(*COLUMNS).where(api_key.c.id.in_(first)))
    found = [Key(**row) for row in rows.mappings()]
    return {key.account_id: key for key in found}


async def of_version(session: AsyncSession, pepper_version: int) -> frozenset[str]:
    """The public ids of the keys under that pepper that are not revoked."""
    query = select(api_key.c.public_id).where(
        api_key.c.pepper_version == pepper_version, api_key.c.revoked_at.is_(None)
    )
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


async def note_use(session: AsyncSession, public_id: str, day: date) -> None:
    """Keep the last day on which the key was used; it never goes back."""
    earlier = or_(api_key.c.last_used_on.is_(None), api_key.c.last_used_on < day)
    await session.execute(update(api_key).where(api_key.c.public_id == public_id, earlier).values(last_used_on=day))
