"""Statements on audit records: one row per administrative change, written in the change's own transaction."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import audit_record


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who changed what, and when. Names of fields only: no value of any of them is ever here."""

    at: datetime
    actor: str
    operation: str
    target_kind: str
    target_id: str
    fields: list[str]
    request_id: str | None


COLUMNS = [column for column in audit_record.c if column.name != "id"]


async def add(session: AsyncSession, record: AuditRecord) -> None:
    await session.execute(insert(audit_record).values(asdict(record)))


async def add_all(session: AsyncSession, records: list[AuditRecord]) -> None:
    """All of them at once; there has to be one."""
    await session.execute(insert(audit_record), [asdict(record) for record in records])


async def newest(
    session: AsyncSession, limit: int, target_kind: str | None = None, target_id: str | None = None
) -> list[AuditRecord]:
    """The last records, newest first, of one kind of thing or of one thing where they are given."""
    query = select(*COLUMNS).order_by(audit_record.c.id.desc()).limit(limit)
    if target_kind is not None:
        query = query.where(audit_record.c.target_kind == target_kind)
    if target_id is not None:
        query = query.where(audit_record.c.target_id == target_id)
    return [AuditRecord(**row) for row in (await session.execute(query)).mappings()]


async def every(session: AsyncSession) -> list[AuditRecord]:
    """All records, oldest first."""
    rows = await session.execute(select(*COLUMNS).order_by(audit_record.c.id))
    return [AuditRecord(**row) for row in rows.mappings()]
