"""Conversations, stored chat completions and responses, with what keeps them up, put together."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

from llm_backend.domain.callers import Callers
from llm_backend.domain.clock import Clock, uuid7
from llm_backend.domain.completions.resuming import ResumableCompletions
from llm_backend.domain.completions.stored import StoredCompletions
from llm_backend.domain.conversations import Conversations
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.relaying import Relaying
from llm_backend.domain.responses.asking import Asking, Desk
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.compacting import Compacting
from llm_backend.domain.responses.counting import Counting
from llm_backend.domain.responses.drafting import Drafting
from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.responses.making import Making
from llm_backend.domain.responses.orphans import Orphans
from llm_backend.domain.responses.responses import Responses
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.rounds import Rounds
from llm_backend.domain.secrets import Secrets
from llm_backend.storage.database import Database
from llm_backend.upstream.catalogue import Catalogue

BEAT_SECONDS = 1.0
SWEEP_SECONDS = 10.0


class Kept(NamedTuple):
    """Those who keep what was said, or read it again."""

    conversations: Conversations
    completions: StoredCompletions
    resumable: ResumableCompletions
    responses: Responses


@dataclass(frozen=True, slots=True)
class Responding:
    """Makes them of what there is."""

    database: Database
    clock: Clock
    catalogue: Catalogue
    exchanges: Exchanges
    relaying: Relaying
    secrets: Secrets
    judge: Judge | None
    """Looks at what is told of responses; None: nobody does."""
    is_draining: Callable[[], bool]
    """Whether nothing more is to be begun."""

    def open(self, stack: AsyncExitStack, *, alone: bool) -> Kept:
        """All of them, as long as `stack` is open; `alone`: nobody else has this database open."""
        log = EventLog(self.database, uuid7(self.clock.now()))
        stack.push_async_callback(log.disconnect)
        making = Making(log)
        summaries = Summaries(self.secrets)
        drafting = Drafting(self.database, self.clock, self.catalogue, summaries, self.judge)
        desk = Desk(self.database, self.clock, self.catalogue, self.exchanges, making, self.judge, drafting)
        asking = Asking(desk)
        background = Background(self.database, self.clock, self.exchanges, asking)
        callers = Callers(self.database, self.clock)
        orphans = Orphans(asking, making, background, callers, self.clock, self.is_draining, alone=alone)
        rounds = Rounds()
        stack.push_async_callback(rounds.close)
        rounds.every(BEAT_SECONDS, making.beat)
        rounds.every(SWEEP_SECONDS, orphans.sweep, first_seconds=BEAT_SECONDS)
        completions = StoredCompletions(self.database, self.clock)
        return Kept(
            Conversations(self.database, self.clock),
            completions,
            ResumableCompletions(completions, self.exchanges, making, self.clock),
            Responses(desk, asking, background, Counting(desk, self.relaying), Compacting(desk, summaries)),
        )
