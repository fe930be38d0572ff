"""The responses and streams that this process makes: kept its own while they run, and cancelled by whoever may."""

from dataclasses import dataclass

from llm_backend.domain.exchange import Exchange
from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.recording import Recorder
from llm_backend.errors import ResponseCancelled
from llm_backend.storage import responses


@dataclass(frozen=True, slots=True)
class Made:
    """One that is being made."""

    exchange: Exchange
    recorder: Recorder


class Making:
    """Those whose events are kept meanwhile."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._made: dict[str, Made] = {}

    def begin(self, made: Made) -> None:
        """Count one among them until it has ended."""
        public_id = made.recorder.public_id
        self._made[public_id] = made
        made.exchange.task.add_done_callback(lambda _: self._end(public_id))

    def has(self, public_id: str) -> bool:
        """Whether that one is among them."""
        return public_id in self._made

    async def flush(self, public_id: str) -> None:
        """Keep what came so far of that one, if it is among them: its client may ask for it before it is kept."""
        made = self._made.get(public_id)
        if made is not None:
            await made.recorder.flush()

    def cancel(self, public_id: str) -> None:
        """End that one, if it is among them."""
        made = self._made.get(public_id)
        if made is not None:
            made.exchange.stop(ResponseCancelled())

    async def beat(self) -> None:
        """Keep them this process's own, and end those that another was asked to cancel. Raises Unavailable.

        One that is its own no longer, as it was deleted, is ended where nobody is left to read it.
        """
        kept = {public_id: made for public_id, made in self._made.items() if made.recorder.number is not None}
        if not kept:
            return
        async with self.log.database.begin() as session:
            own = await responses.renew(session, self.log.owner, tuple(kept))
        for public_id, made in kept.items():
            if own.get(public_id, made.exchange.is_abandoned):
                self.cancel(public_id)

    def _end(self, public_id: str) -> None:
        # Whichever way it ended.
        self._made.pop(public_id).recorder.close()
