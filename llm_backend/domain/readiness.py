"""Whether requests may be sent here now."""

from collections.abc import Callable

from llm_backend.domain.limits import Limits
from llm_backend.errors import Draining, Json
from llm_backend.storage.database import Database
from llm_backend.upstream.upstreams import Upstreams


class Readiness:
    """Asks the parts; a part that is away makes the whole not ready, but for what every replica is without then.

    An upstream or rate limits in trouble are only reported: taking this server out of service would lose what it does
    answer, and bring nothing back.
    """

    def __init__(
        self, database: Database, upstreams: Upstreams, is_draining: Callable[[], bool], limits: Limits
    ) -> None:
        self._database = database
        self._upstreams = upstreams
        self._is_draining = is_draining
        self._limits = limits

    async def report(self) -> Json:
        """What each part says. Raises Draining or DatabaseUnavailable where requests should go elsewhere."""
        if self._is_draining():
            raise Draining
        await self._database.ping()
        upstreams, limits = self._upstreams.health(), self._limits.state
        return {"status": "ok", "database": "ok", "upstreams": upstreams, "limits": limits}
