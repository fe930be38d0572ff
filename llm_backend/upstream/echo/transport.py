"""The echo model in this process: a transport without a socket."""

from collections.abc import AsyncIterator, Mapping

from llm_backend.errors import UpstreamUnreachable
from llm_backend.upstream.bodies import BODY_LIMIT, whole
from llm_backend.upstream.echo.calls import Calls
from llm_backend.upstream.echo.core import Echo
from llm_backend.upstream.echo.play import Broken, Player
from llm_backend.upstream.echo.script import Script
from llm_backend.upstream.wire import Outbound, Reply


class EchoTransport:
    """Asks `echo` without a network."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo

    @property
    def calls(self) -> Calls:
        """The call log."""
        return self._echo.calls

    async def send(self, call: Outbound) -> Reply:
        """As a real upstream would answer. Raises UpstreamUnreachable where a fault breaks the connection."""
        script, logged = self._echo.answer(call.method, call.path, call.body, call.query)
        player = Player(script, logged)
        try:
            await player.open()
        except Broken as broken:
            raise _unreachable(broken) from broken
        return EchoReply(script, player)

    async def close(self) -> None:
        """There is nothing to let go of."""


class EchoReply:
    """An answer whose status is known and whose body is played as it is read."""

    def __init__(self, script: Script, player: Player) -> None:
        self._script = script
        self._player = player

    @property
    def status(self) -> int:
        return self._script.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._script.headers

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        return await whole(self.chunks(), limit)

    def arrived(self) -> bytes | None:
        """Nothing ever has: it is played as it is read."""
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises UpstreamUnreachable where a fault breaks the connection."""
        try:
            async for piece in self._player.body():
                yield piece
        except Broken as broken:
            raise _unreachable(broken) from broken

    async def close(self) -> None:
        self._player.close()


def _unreachable(broken: Broken) -> UpstreamUnreachable:
    if broken.taken:
        message = "The connection to the upstream broke off."
        return UpstreamUnreachable(message, outcome_unknown=True, should_retry=False)
    return UpstreamUnreachable("The upstream cannot be reached.", retriable=True, retry_after_seconds=1)
