"""Who changes what: kept with each administrative change, in its own transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import audit
from llm_backend.storage.audit import AuditRecord

Operation = Literal[
    "create", "read", "update", "close", "rotate", "revoke", "revoke_leaked", "remove", "erase", "import"
]
Kind = Literal["account", "user", "key", "budget", "import"]


@dataclass(frozen=True, slots=True)
class Author:
    """Who asked for a change."""

    actor: Literal["admin", "command line", "server"]
    request_id: str | None = None

    async def note(
        self,
        session: AsyncSession,
        now: datetime,
        operation: Operation,
        target: tuple[Kind, int | str],
        fields: Iterable[str],
    ) -> None:
        """Keep that this author did so; `fields` are the names of what changed, never values."""
        kind, number = target
        record = AuditRecord(now, self.actor, operation, kind, str(number), sorted(fields), self.request_id)
        await audit.add(session, record)

    async def note_each(
        self, session: AsyncSession, now: datetime, operation: Operation, kind: Kind, targets: Iterable[str]
    ) -> None:
        """Keep that this author did so with each of many, at once."""
        await audit.add_all(
            session,
            [AuditRecord(now, self.actor, operation, kind, target, [], self.request_id) for target in targets],
        )


SERVER = Author("server")
"""What the server does by itself, as making the account of the open door."""
