"""What keeps the ledger true while nobody asks: leases renewed, the dead settled, what waited entered."""

import structlog

from llm_backend.domain.backlog import Backlog
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.metering import Metering

log = structlog.get_logger("llm_backend.upkeep")


class Upkeep:
    """The ledger's own work. Each method raises Unavailable where the database is away."""

    def __init__(self, ledger: Ledger, metering: Metering, backlog: Backlog, exchanges: Exchanges) -> None:
        self._ledger = ledger
        self._metering = metering
        self._backlog = backlog
        self._exchanges = exchanges

    async def recover(self, *, alone: bool) -> None:
        """Settle what earlier processes have left: by their journals, else by what they noted last.

        `alone`: nobody else has this database open, so that whatever is left is nobody's.
        """
        await self._backlog.take_over()
        await self._sweep(others=alone)

    async def beat(self) -> None:
        """Renew leases, end what is no longer allowed, enter what waited."""
        held = self._metering.held
        if held:
            # First: what waited may take longer than leases last.
            self._exchanges.revoke(await self._ledger.beat(held, self._exchanges.seen))
        if not self._backlog.is_empty:
            await self._backlog.replay()

    async def sweep(self) -> None:
        """Settle what processes that died have left."""
        await self._sweep(others=False)

    async def tidy(self) -> None:
        """Forget reservations that have long been settled: their usage records stay."""
        await self._ledger.prune()

    async def _sweep(self, *, others: bool) -> None:
        if count := await self._ledger.sweep(self._metering.crashed, others=others):
            log.warning("reservations_swept", count=count)
