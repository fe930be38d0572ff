"""Answers that come whole: JSON, or a text where that was asked for."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from llm_backend.domain.bench import Bench
from llm_backend.domain.contents import JSON, read_whole
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.tally import Tally, objects
from llm_backend.domain.trades import Trade
from llm_backend.domain.work import Ending, Work
from llm_backend.errors import Internal, Json, LLMBackendError, UpstreamInvalid
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply

TEXT = "text/plain"

_COMPLETED = Ending("completed", upstream_status=HTTP_OK)


class Answer(NamedTuple):
    """A whole answer: its bytes, and the upstream's headers that are passed down."""

    body: bytes
    headers: Mapping[str, str]
    media_type: str = JSON


class Received(NamedTuple):
    """What came, and what of it is passed on."""

    content: Json
    """Parsed; a text as it is."""
    body: bytes
    media_type: str
    usage: Json = None
    """What the upstream says it used."""
    text: str | None = None
    """What of it the model said; None: all of its text."""


class WholeAnswer(Exchange):
    """One answer in one piece: settled before anyone sees it."""

    def __init__(self, work: Work, trade: Trade, plan: Plan, bench: Bench) -> None:
        super().__init__(work, trade, plan, bench)
        self._answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        """Not the task: the request may be cancelled, the exchange only stopped."""

    async def answer(self) -> Answer:
        """The upstream's answer. Raises LLMBackendError, whatever went wrong."""
        return await self._answered

    async def _run(self) -> None:
        try:
            answer = await super()._run()
        except BaseException as error:
            if not self._answered.done():
                self._answered.set_exception(error if isinstance(error, Exception) else Internal())
                # Retrieved here once, for the case that nobody waits for it any more.
                self._answered.exception()
            raise
        if not self._answered.done():
            self._answered.set_result(answer)

    async def _work(self) -> Answer:
        reply = await self._attempts.open()
        told = self._told(reply)
        try:
            answer = await self._received(reply, told.get("content-type", ""))
        except LLMBackendError as error:
            await self._attempts.settle_failed(error)
            raise
        content = answer.content
        kept = Kept(content, answer.media_type, answer.body)
        said = _text(content) if answer.text is None else answer.text
        await self._attempts.settle_answered(_COMPLETED, answer.usage, said, kept)
        await self._note(content)
        return Answer(answer.body, told, answer.media_type)

    async def _received(self, reply: Reply, content_type: str) -> Received:
        """The answer, as it is passed on. Lets go of the upstream, whose part is over here."""
        try:
            with self._interruption.listening():
                raw = await reply.read(self._trade.answer_bytes)
            if self.work.accept == TEXT:
                media_type = content_type.partition(";")[0].strip().lower()
                if media_type.startswith("text/"):
                    return Received(_decoded(raw), raw, f"{media_type}; charset=utf-8")
            content, strict = read_whole(raw, self._trade.contents, self._attempts.route.upstream.refusals)
            return self._understood(content, strict)
        finally:
            await reply.close()

    def _understood(self, content: Json, strict: bytes) -> Received:
        """An answer in JSON, as it is passed on; `strict`: the same as bytes."""
        named = self._renamed(content)
        return Received(named, strict if named is content else _written(named), JSON, content.get("usage"))

    def _renamed(self, content: Json) -> Json:
        """The same, unless the client knows the model or the answer by another name."""
        own = {} if self._alias is None or "model" not in content else {"model": self._alias}
        if self.work.answer_id is not None:
            own["id"] = self.work.answer_id
        return {**content, **own} if own else content


def _written(content: Json) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        raise UpstreamInvalid("The upstream's answer cannot be passed on.", should_retry=False) from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UpstreamInvalid("The upstream's answer is not UTF-8.", should_retry=False) from None


def _text(content: Json) -> str:
    """All text of an answer: what its tokens are counted by, or learnt from."""
    if isinstance(content, str):
        return content
    if isinstance(content.get("text"), str):
        text: str = content["text"]
        return text
    tally = Tally()
    for choice in objects(content.get("choices")):
        tally.see({"choices": [{"delta": choice.get("message"), "text": choice.get("text")}]})
    for item in objects(content.get("output")):
        for part in (item, *objects(item.get("content"))):
            tally.see({"delta": part.get("text") or part.get("arguments")})
    return tally.text
