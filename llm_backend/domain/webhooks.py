"""Tells the operator's webhook what happened, at least once: signed, tried again, given up in the end."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import uniform
from typing import TYPE_CHECKING

import structlog

from llm_backend.domain.clock import Clock
from llm_backend.errors import Unavailable
from llm_backend.storage import webhook_events
from llm_backend.storage.database import Database
from llm_backend.storage.webhook_events import Event

if TYPE_CHECKING:
    import httpx

POLL_SECONDS = 5.0
"""Without a word: events of other processes, and those whose next try is due."""

ANSWER_SECONDS = 10.0
CLAIM_SECONDS = 60.0
"""How long an event is left to the process that sends it: longer than sending takes, in case that process dies."""

FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 3600
JITTER = 0.2
"""The part by which a pause is longer or shorter: many events that failed together do not come back together."""

MOST_TRIES = 20
AT_ONCE = 10

GONE = 410

_BASE64 = "whsec_"

log = structlog.get_logger("llm_backend.webhooks")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is told."""

    url: str
    key: bytes
    """What signs: known to the receiver too."""
    answer_seconds: float = ANSWER_SECONDS
    """How long the receiver may take to say that it has the event."""

    def __repr__(self) -> str:
        return "Endpoint(…)"

    @classmethod
    def of(cls, url: str, secret: str) -> "Endpoint":
        """`secret` as Standard Webhooks write it, `whsec_` and base64, or any text. Raises ValueError."""
        if not secret.startswith(_BASE64):
            return cls(url, secret.encode())
        try:
            return cls(url, base64.b64decode(secret.removeprefix(_BASE64), validate=True))
        except binascii.Error as error:
            raise ValueError(f"What follows {_BASE64} has to be base64.") from error

    def headers(self, event: Event, timestamp: int) -> dict[str, str]:
        """What a receiver needs to know the event for ours: Standard Webhooks, as OpenAI signs."""
        signed = f"{event.id}.{timestamp}.".encode() + event.payload
        signature = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
        return {
            "content-type": "application/json",
            "user-agent": "llm-backend",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature}",
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended."""

    event: Event
    error: str | None = None
    """A status or a kind of failure, never what the receiver wrote; None where the event was taken."""
    is_final: bool = False
    """Whether another try is no use."""


class Webhooks:
    """Sends what is due: at once after `notify`, else within seconds."""

    def __init__(
        self,
        database: Database,
        endpoint: Endpoint,
        clock: Clock,
        jitter: Callable[[float, float], float] = uniform,
    ) -> None:
        """`jitter`: a number between two bounds."""
        self._database = database
        self._endpoint = endpoint
        self._clock = clock
        self._jitter = jitter
        self._client: httpx.AsyncClient | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send until `close`."""
        self._task = asyncio.create_task(self._run(), name="webhooks")

    def notify(self) -> None:
        """An event was written: look now."""
        self._woken.set()

    async def close(self) -> None:
        """Stop. What was not taken by now is sent by whoever runs next, for the second time perhaps."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def send_due(self) -> None:
        """Try every event whose time has come, once. Raises as `Database.begin`."""
        while claimed := await self._claim():
            if self._client is None:
                # Loading it and the authorities takes a while, and most processes never have anything to tell.
                self._client = await asyncio.to_thread(_client)
            outcomes = await asyncio.gather(*(self._try(self._client, event) for event in claimed))
            await self._database.detached(self._note(outcomes))

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.send_due()
            except Unavailable as error:
                log.warning("webhooks_wait_for_the_database", error=str(error))
            except Exception:
                # Whatever it was: the events after it are not to wait for a restart.
                log.exception("webhooks_failed")
            try:
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            except TimeoutError:
                continue

    async def _claim(self) -> list[Event]:
        due = await self._database.detached(self._due())
        return await self._database.detached(self._take(due)) if due else []

    async def _due(self) -> list[Event]:
        async with self._database.reading() as session:
            return await webhook_events.due(session, self._clock.now(), AT_ONCE)

    async def _take(self, due: list[Event]) -> list[Event]:
        until = self._clock.now() + timedelta(seconds=CLAIM_SECONDS)
        async with self._database.begin() as session:
            return await webhook_events.claim(session, due, until)

    async def _try(self, client: "httpx.AsyncClient", event: Event) -> Outcome:
        endpoint = self._endpoint
        headers = endpoint.headers(event, int(self._clock.now().timestamp()))
        sending = client.stream("POST", endpoint.url, content=event.payload, headers=headers)
        try:
            # The status says all; what else the receiver writes is not read, however much it is.
            async with asyncio.timeout(endpoint.answer_seconds), sending as answer:
                status = answer.status_code
        except Exception as error:  # noqa: BLE001 (whatever it is, it is kept with the event and tried again)
            return Outcome(event, type(error).__name__)
        if answer.is_success:
            return Outcome(event)
        return Outcome(event, f"status {status}", is_final=status == GONE)

    async def _note(self, outcomes: Iterable[Outcome]) -> None:
        async with self._database.begin() as session:
            for outcome in outcomes:
                event, now = outcome.event, self._clock.now()
                if outcome.error is None:
                    await webhook_events.note_taken(session, event, now)
                    continue
                pause = None if outcome.is_final else self._pause(event.tries)
                await webhook_events.note_failed(session, event, outcome.error, now + pause if pause else None)
                tell = log.warning if pause else log.error
                tell(
                    "webhook_failed" if pause else "webhook_given_up",
                    webhook_event=event.id,
                    account_id=event.account_id,
                    tries=event.tries,
                    error=outcome.error,
                )

    def _pause(self, tries: int) -> timedelta | None:
        """Until the next try; None where there were enough."""
        if tries >= MOST_TRIES:
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (tries - 1), LONGEST_PAUSE_SECONDS)
        return timedelta(seconds=self._jitter(pause * (1 - JITTER), pause * (1 + JITTER)))


def _client() -> "httpx.AsyncClient":
    import httpx  # noqa: PLC0415 (only where there is something to tell)

    # The machine's authorities, as for the upstream; and no proxy that some variable names.
    return httpx.AsyncClient(
        verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=ANSWER_SECONDS
    )
