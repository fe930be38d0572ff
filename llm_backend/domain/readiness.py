"""Whether requests may be sent here now."""

from collections.abc import Callable

from llm_backend.errors import Draining, Json
from llm_backend.storage.database import Database
from llm_backend.upstream.upstream import Upstream


class Readiness:
    """Asks the parts; a part that is away makes the whole not ready, but for the upstream, which is only reported.

    An upstream in trouble is no reason to take this server out of service: every replica has the same one, and what it
    does answer would be lost.
    """

    def __init__(self, database: Database, upstream: Upstream, is_draining: Callable[[], bool]) -> None:
        self._database = database
        self._upstream = upstream
        self._is_draining = is_draining

    async def report(self) -> Json:
        """What each part says. Raises Draining or DatabaseUnavailable where requests should go elsewhere."""
        if self._is_draining():
            raise Draining
        await self._database.ping()
        return {"status": "ok", "database": "ok", "upstream": self._upstream.health()}
