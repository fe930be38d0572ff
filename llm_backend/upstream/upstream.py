"""One who answers: asked through a circuit, held to deadlines, believed only where the answer has the right shape."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

import orjson

from llm_backend import json_text
from llm_backend.errors import Json, UpstreamFailed, UpstreamInvalid
from llm_backend.upstream.bodies import BODY_LIMIT, beginning, bounded, whole
from llm_backend.upstream.circuit import Attempt, Circuit
from llm_backend.upstream.deadlines import Timeouts, Watch
from llm_backend.upstream.denials import Denials
from llm_backend.upstream.refusals import Refusals
from llm_backend.upstream.resting import Rests
from llm_backend.upstream.retries import Retries
from llm_backend.upstream.wire import Outbound, Reply, Transport

ANYTHING = "*/*"
"""The `accept` of a call that takes whatever comes: a file's bytes may be of any type, JSON among them."""

REFUSAL_BYTES = 64 * 1024
"""How much of an error's body is read."""

REFUSAL_SECONDS = 5.0
"""How long an error's body may take: its status says most."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is particular about an upstream."""

    output_cap_field: str = "max_tokens"
    """The field by which it lets itself be told how long an answer may be."""
    drains: bool = False
    """Whether an answer that its reader left is read to its end, and not cut."""
    has_responses: bool = False
    """Whether it answers `/responses`; else whoever asks for a response has a chat asked."""


class Upstream:
    """A transport with everything that one must not be asked without."""

    def __init__(  # noqa: PLR0913 (what it is asked with, each by name)
        self,
        name: str,
        transport: Transport,
        *,
        timeouts: Timeouts,
        circuit: Circuit,
        rests: Rests | None = None,
        secrets: tuple[str, ...] = (),
        manner: Manner = Manner(),
    ) -> None:
        """`secrets`: this server's credentials there, so that no error text carries them on."""
        self.name = name
        self.manner = manner
        self.retries = Retries()
        self.refusals = Refusals(secrets)
        self.rests = rests or Rests()
        self.denials = Denials()
        self._transport = transport
        self._timeouts = timeouts
        self._circuit = circuit
        self._answers = 0
        self._is_retired = False

    async def open(self, call: Outbound) -> Reply:
        """Ask; the answer, with status 2xx, undecoded, of the media type that `call` wants, its body still to come.

        Raises UpstreamFailed as faults are told apart in `errors`, Overloaded while the circuit is open. Its reply
        must be closed; its body raises UpstreamFailed too, UpstreamTimedOut among them.
        """
        attempt = self._circuit.admit()
        self._answers += 1
        try:
            reply = await self._answer(call, attempt)
        except UpstreamFailed as error:
            attempt.failed(error)
            await self._ended()
            raise
        except BaseException:
            attempt.abandoned()
            await self._ended()
            raise
        attempt.succeeded()
        return reply

    @property
    def lets_through(self) -> bool:
        """Whether its circuit would let it be asked now."""
        return self._circuit.lets_through

    @property
    def is_busy(self) -> bool:
        """Whether an answer of its own is still on its way."""
        return self._answers > 0

    async def retire(self) -> None:
        """Let go of its connections as soon as no answer is on its way; whoever still asks it is answered."""
        self._is_retired = True
        await self._let_go()

    def health(self) -> Json:
        """Tell readiness its name, the circuit's state, and the code of its last fault until something succeeds."""
        return {"name": self.name, "circuit": self._circuit.state, "last_error": self._circuit.last_error}

    async def close(self) -> None:
        await self._transport.close()

    async def _ended(self) -> None:
        """Count an answer that is over."""
        self._answers -= 1
        await self._let_go()

    async def _let_go(self) -> None:
        if self._is_retired and not self._answers:
            await self._transport.close()

    async def _answer(self, call: Outbound, attempt: Attempt) -> "GuardedReply":
        end = asyncio.get_running_loop().time() + self._timeouts.to_end(stream=call.stream)
        watch = Watch(
            first=self._timeouts.to_first_byte(stream=call.stream),
            idle=self._timeouts.idle,
            end=end if call.deadline is None else min(end, call.deadline),
        )
        try:
            with watch:
                reply = await self._transport.send(call)
            watch.begun()
            try:
                await self._check(call, reply)
            except BaseException:
                await reply.close()
                raise
        except BaseException:
            watch.stop()
            raise
        return GuardedReply(reply, watch, attempt, self._ended)

    async def _check(self, call: Outbound, reply: Reply) -> None:
        """Raise UpstreamFailed where `reply` is not what was asked for."""
        is_plain = reply.headers.get("content-encoding", "identity").strip().lower() in {"", "identity"}
        if reply.status // 100 != 2:  # noqa: PLR2004 (2xx)
            raise self.refusals.of(reply.status, reply.headers, await _explanation(reply) if is_plain else b"")
        if not is_plain:
            raise _invalid("The upstream compressed its answer although it was asked not to.")
        if call.accept == ANYTHING:
            return
        media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if _is_wanted(media_type, call):
            return
        if media_type == "application/json":
            raise self._refusal_within(await _explanation(reply))
        raise _invalid("The upstream's answer has the wrong media type.")

    def _refusal_within(self, body: bytes) -> UpstreamFailed:
        """Translate a JSON answer where events were asked for."""
        try:
            found = self.refusals.inside(json_text.loads(body))
        except orjson.JSONDecodeError:
            found = None
        return found or _invalid("The upstream answered a stream's request whole.")


class GuardedReply:
    """A good answer, held to its deadlines while it is read, `Reply` of `wire`."""

    def __init__(self, reply: Reply, watch: Watch, attempt: Attempt, ended: Callable[[], Awaitable[None]]) -> None:
        """`ended` is called once, when it is closed."""
        self._reply = reply
        self._ended = ended
        self._is_closed = False
        self._next = reply.chunks().__anext__
        self._watch = watch
        self._attempt = attempt

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        try:
            body = self._reply.arrived()
            return await whole(self, limit) if body is None else bounded(body, limit)
        except UpstreamFailed:
            await self.close()
            raise

    def arrived(self) -> bytes | None:
        return self._reply.arrived()

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            with self._watch:
                return await self._next()
        except StopAsyncIteration:
            self._watch.stop()
            raise
        except UpstreamFailed as error:
            self._attempt.broke_off(error)
            await self.close()
            raise

    async def close(self) -> None:
        self._watch.stop()
        try:
            await self._reply.close()
        finally:
            if not self._is_closed:
                self._is_closed = True
                await self._ended()


def _is_wanted(media_type: str, call: Outbound) -> bool:
    """Whether an answer of this type is what `call` asked for."""
    if call.stream:
        return media_type == "text/event-stream" or (call.takes_whole and media_type == "application/json")
    if call.accept is None:
        return media_type == "application/json"
    # Upstreams name sounds and texts as they like, but a page is neither; JSON may hold a text, and an error always is.
    is_text = media_type.startswith("text/") and media_type != "text/html"
    return call.accept == "*/*" or is_text or media_type == "application/json"


async def _explanation(reply: Reply) -> bytes:
    """Read what an error says; nothing where it does not come, since the status alone is an answer too."""
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            return await beginning(reply.chunks(), REFUSAL_BYTES)
    except (UpstreamFailed, TimeoutError):
        return b""


def _invalid(message: str) -> UpstreamInvalid:
    """Of an answer with a status of success: it was worked for, and asking again would pay for it twice."""
    return UpstreamInvalid(message, outcome_unknown=True, should_retry=False)
