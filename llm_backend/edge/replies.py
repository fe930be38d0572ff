"""Answers on their way out: JSON, or the events of an exchange for as long as there is someone to read them."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_backend.domain.answers import WholeAnswer
from llm_backend.domain.budget_headers import budget_headers
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.piped import PipedAnswer
from llm_backend.domain.trades import Trade
from llm_backend.edge.call import Call
from llm_backend.edge.intake import Departed
from llm_backend.errors import Json

EVENT_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}


def json_reply(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON. The type has no parameters: some clients compare it whole."""
    return Response(orjson.dumps(value), status, {**(headers or {}), "content-type": "application/json"})


async def exchanged(call: Call, trade: Trade) -> Response:
    """The upstream's answer to the call's body: whole, or as events where the caller asked for a stream."""
    if call.body.get("stream"):
        return await streamed(call, trade)
    return await whole(call, trade)


async def whole(call: Call, trade: Trade, accept: str | None = None) -> Response:
    """The upstream's answer to the call's body in one piece; in JSON, or of the type `accept`."""
    await _name_model(call, trade)
    work = call.work(trade.path, streamed=False, accept=accept)
    return await answered(call, await call.services.exchanges.whole(work, trade))


async def answered(call: Call, exchange: WholeAnswer) -> Response:
    """An exchange's answer, in one piece."""
    call.departure.expect(exchange.abandon)
    try:
        answer = await exchange.answer()
    finally:
        call.departure.forget()
        call.log.update(exchange.summary)
    headers = {**_told(exchange, answer.headers), "content-type": answer.media_type}
    return Response(answer.body, 200, headers)


async def streamed(call: Call, trade: Trade) -> Response:
    """The upstream's answer to the call's body as events."""
    await _name_model(call, trade)
    work = call.work(trade.path, streamed=True)
    return await told(call, await call.services.exchanges.stream(work, trade))


async def told(call: Call, exchange: PipedAnswer) -> Response:
    """An exchange's answer as events."""
    return await _piped(call, exchange, EVENT_STREAM_HEADERS)


async def binary(call: Call, trade: Trade) -> Response:
    """The upstream's answer to the call's body in bytes, as they come."""
    await _name_model(call, trade)
    work = call.work(trade.path, streamed=False, accept="*/*")
    return await _piped(call, await call.services.exchanges.binary(work, trade), {})


async def _name_model(call: Call, trade: Trade) -> None:
    """Say who is asked, where the request does not."""
    if trade.usual is not None and call.caller is not None and call.body.get("model") is None:
        call.body["model"] = await call.services.exchanges.usual_model(trade.usual, call.caller)
    call.log["model"] = call.body["model"]


async def _piped(call: Call, exchange: PipedAnswer, own: Mapping[str, str]) -> Response:
    """An answer that goes out while it comes; `own`: headers that it always has."""
    call.departure.expect(exchange.abandon)
    try:
        headers = await exchange.begun()
    except BaseException:
        call.departure.forget()
        exchange.abandon()
        call.log.update(exchange.summary)
        raise
    return PipedReply(call, exchange, {**_told(exchange, headers), **own})


def _told(exchange: Exchange, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an exchange's answer: the upstream's, and how budget and rate limits stand here."""
    own = exchange.rate_headers
    # Where we have limits of our own, the upstream's are nobody's business.
    passed = {name: value for name, value in headers.items() if not (own and name.startswith("x-ratelimit-"))}
    return {**passed, **own, **budget_headers(exchange.balance)}


class PipedReply(Response):
    """An exchange's answer, piece by piece. Only reads: that it ends, however it ends, settles nothing."""

    def __init__(self, call: Call, exchange: PipedAnswer, headers: Mapping[str, str]) -> None:
        super().__init__(None, 200, headers)
        # An answer of unknown length: Starlette would declare it empty.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._call = call
        self._exchange = exchange

    async def settled(self) -> None:
        """Returns when the exchange is over and written down, whether or not anyone read it."""
        await self._exchange.settled()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if self._call.outlet is not None:
                self._exchange.shorten(self._call.outlet.take)
            async for block in self._exchange.blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
            if self._exchange.is_abandoned:
                # Nobody is there to be told the end; the log's line is to say what it came to.
                await self._exchange.settled()
                raise Departed
            if self._exchange.broken_by is not None:
                raise self._exchange.broken_by
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # No await here: when the client has left, every one of them fails.
            self._call.departure.forget()
            self._exchange.abandon()
            self._call.log.update(self._exchange.summary)
