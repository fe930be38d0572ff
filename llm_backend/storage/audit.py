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


async def add(session: AsyncSession, record: AuditRecord) -> None:
    await session.execute(insert(audit_record).values(asdict(record)))


async def every(session: AsyncSession) -> list[AuditRecord]:
    """All records, oldest first."""
    columns = [column for column in audit_record.c if column.name != "id"]
    rows = await session.execute(select(*columns).order_by(audit_record.c.id))
    return [AuditRecord(**row) for row in rows.mappings()]
