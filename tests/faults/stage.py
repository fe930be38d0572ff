"""What a fault is told and seen on: a running server, its upstream, its log and its new records."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from llm_backend.domain.exchange import Exchange
from llm_backend.storage.usage import UsageRecord
from tests.faulty import FaultyUpstream
from tests.serving import Running

Told = tuple[str, str, str | None]
"""A record's status, basis and error code."""


@dataclass(frozen=True)
class Stage:
    """One test's share of a server that others use before and after it."""

    running: Running
    upstream: FaultyUpstream
    log: list[MutableMapping[str, Any]]
    _before: int

    async def records(self) -> list[UsageRecord]:
        """The records of this test, once everything is settled."""
        records = (await self.running.records())[self._before :]
        assert len({record.attempt_id for record in records}) == len(records)
        return records

    async def told(self) -> list[Told]:
        return [told(record) for record in await self.records()]

    @property
    def exchange(self) -> Exchange:
        """The one that runs."""
        (exchange,) = self.running.services.exchanges._running
        return exchange


def told(record: UsageRecord) -> Told:
    return record.status, record.basis, record.error_code
