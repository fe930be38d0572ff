"""Statements on the objects that accounts have at upstreams: whose each is, and where it is."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.database import insert_once
from llm_backend.storage.tables import upstream_object

AT_ONCE = 500
"""Ids that one statement asks for."""

_KEY = ("object_id", "upstream")
_C = upstream_object.c


@dataclass(frozen=True, slots=True)
class UpstreamObject:
    """One object of an account at an upstream."""

    account_id: int
    upstream: str
    kind: str
    """The path of its collection with dots, without ids: `vector_stores.file_batches`."""
    object_id: str
    parent_id: str | None
    """The object that it goes with."""


async def add(session: AsyncSession, objects: Iterable[UpstreamObject], now: datetime) -> list[UpstreamObject]:
    """Record the objects; those that are another account's already are left as they are, and returned."""
    foreign = []
    # In one order: two that record the same wait for each other, and not in a circle.
    for each in sorted(objects, key=lambda one: one.object_id):
        added = await session.execute(insert_once(session, upstream_object, asdict(each) | {"created_at": now}, _KEY))
        if added.first() is None:
            known = select(_C.account_id).where(_C.upstream == each.upstream, _C.object_id == each.object_id)
            owner = (await session.execute(known)).scalar_one_or_none()
            foreign += [each] if owner not in (None, each.account_id) else []
    return foreign


async def find(session: AsyncSession, ids: Sequence[str]) -> list[UpstreamObject]:
    """Everybody's objects with these ids, at every upstream."""
    found = []
    for start in range(0, len(ids), AT_ONCE):
        columns = [_C[name] for name in UpstreamObject.__dataclass_fields__]
        some = select(*columns).where(_C.object_id.in_(ids[start : start + AT_ONCE])).order_by(_C.id)
        found += [UpstreamObject(**row) for row in (await session.execute(some)).mappings()]
    return found


async def count(session: AsyncSession, account_id: int, upstream: str, kind: str, most: int) -> int:
    """How many of a kind the account has there; `most` where there are more."""
    own = select(_C.id).where(_C.account_id == account_id, _C.upstream == upstream, _C.kind == kind).limit(most)
    return int((await session.execute(select(func.count()).select_from(own.subquery()))).scalar_one())


async def remove(session: AsyncSession, account_id: int, upstream: str, object_id: str) -> None:
    """Forget the account's object, and what went with it."""
    gone = or_(_C.object_id == object_id, _C.parent_id == object_id)
    await session.execute(delete(upstream_object).where(_C.account_id == account_id, _C.upstream == upstream, gone))
