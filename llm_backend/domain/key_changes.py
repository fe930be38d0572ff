"""How keys change, each within one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets
from llm_backend.domain.audit import Author, Operation
from llm_backend.domain.key_text import PUBLIC_ID
from llm_backend.errors import InvalidRequest, NotFound
from llm_backend.storage import accounts, keys
from llm_backend.storage import budgets as stored_budgets
from llm_backend.storage.keys import Key


class NotInUse(InvalidRequest):
    """The key was revoked or has expired: there is nothing left to change."""

    code = "key_not_in_use"

    def __init__(self, public_id: str) -> None:
        super().__init__(f"Key {public_id} is not in use any more", param="key_id")


def unknown(public_id: str) -> NotFound:
    """There is no such key, or it is another account's."""
    named = f"Key {public_id}" if PUBLIC_ID.fullmatch(public_id) else "This key"
    return NotFound(f"{named} does not exist", param="key_id")


async def owned(session: AsyncSession, public_id: str, account_id: int | None) -> Key:
    """The key. Raises NotFound, where `account_id` is given also for another account's."""
    holder = await keys.find(session, public_id)
    if holder is None or account_id not in (None, holder.key.account_id):
        raise unknown(public_id)
    return holder.key


async def update(  # noqa: PLR0913, PLR0917 (what, of whom, by whom, when)
    session: AsyncSession, public_id: str, values: dict[str, Any], account_id: int | None, by: Author, now: datetime
) -> Key:
    """It, changed. Raises NotFound, and NotInUse where it is revoked."""
    await owned(session, public_id, account_id)
    before = await _locked(session, public_id)
    if before.revoked_at is not None:
        raise NotInUse(public_id)
    changed = {name: value for name, value in values.items() if value != getattr(before, name)}
    if changed:
        await keys.change(session, public_id, changed)
        await by.note(session, now, "update", ("key", public_id), changed)
    return replace(before, **changed)


async def revoke(  # noqa: PLR0913, PLR0917 (as above)
    session: AsyncSession,
    public_id: str,
    account_id: int | None,
    by: Author,
    now: datetime,
    operation: Operation = "revoke",
) -> Key:
    """It, refused from now on. Raises NotFound."""
    key = await owned(session, public_id, account_id)
    # A reservation looks at its key with these rows in hand: none is made after the moment that is written down.
    await accounts.lock_periods(session, key.account_id)
    revoked_at = await keys.revoke(session, public_id)
    if revoked_at is None:
        return await _locked(session, public_id)
    await by.note(session, now, operation, ("key", public_id), ["revoked_at"])
    return replace(key, revoked_at=revoked_at, sealed=None)


async def retire(  # noqa: PLR0913, PLR0917 (as above)
    session: AsyncSession, old: Key, successor: str, grace_seconds: int, by: Author, now: datetime
) -> None:
    """Let `old` go when the grace is over, and its budget to its successor."""
    if grace_seconds:
        end = now + timedelta(seconds=grace_seconds)
        if old.expires_at is None or end < old.expires_at:
            await keys.change(session, old.public_id, {"expires_at": end})
    else:
        await keys.revoke(session, old.public_id)
    await by.note(session, now, "rotate", ("key", old.public_id), ["expires_at" if grace_seconds else "revoked_at"])
    await _pass_on(session, old, successor, now, still_used=grace_seconds > 0)


async def in_use(session: AsyncSession, public_id: str, account_id: int | None, now: datetime) -> Key:
    """The key, held with its account's sums. Raises NotFound, and NotInUse where it is no longer in use."""
    key = await owned(session, public_id, account_id)
    # The account first, as whoever changes its budgets does: nobody waits crosswise.
    await accounts.lock(session, key.account_id)
    await accounts.lock_periods(session, key.account_id)
    key = await _locked(session, public_id)
    if not key.is_in_use(now):
        raise NotInUse(public_id)
    return key


async def _pass_on(session: AsyncSession, old: Key, successor: str, now: datetime, *, still_used: bool) -> None:
    """The successor goes on with the budget and its sums; in its grace the old key has what was left of them."""
    budget = await stored_budgets.find(session, old.account_id, f"key:{old.public_id}")
    account = await accounts.find(session, old.account_id)
    if budget is None or account is None:
        return
    period = await stored_budgets.period_at(session, budget.id, now)
    await stored_budgets.change(session, budget.id, {"subject": f"key:{successor}"}, now)
    if not still_used:
        return
    left = {"token_limit": budget.token_limit, "microusd_limit": budget.microusd_limit}
    if period is not None:
        left = {
            "token_limit": _left(period.token_limit, period.used_tokens + period.reserved_tokens),
            "microusd_limit": _left(period.microusd_limit, period.used_microusd + period.reserved_microusd),
        }
    rules = budgets.Rules(token_limit=left["token_limit"], microusd_limit=left["microusd_limit"])
    await budgets.begin(session, account, rules, now, f"key:{old.public_id}")


def _left(limit: int | None, spent: int) -> int | None:
    return None if limit is None else max(0, limit - spent)


async def _locked(session: AsyncSession, public_id: str) -> Key:
    key = await keys.lock(session, public_id)
    if key is None:
        raise unknown(public_id)
    return key
