"""Requests that an upstream answers for objects it keeps: only those of the account that asks are touched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from llm_backend import json_text
from llm_backend.domain.answers import Answer
from llm_backend.domain.errands import Errand
from llm_backend.domain.identity import Caller
from llm_backend.domain.limits import Asked, Limits, Permit
from llm_backend.domain.ownership import Makings, Ownership
from llm_backend.errors import Json, NotFound, UpstreamFailed, UpstreamInvalid, UpstreamRejected
from llm_backend.errors import UpstreamUnreachable as Unreachable
from llm_backend.storage.upstream_objects import UpstreamObject
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.forms import Form
from llm_backend.upstream.headers import passed_down, passed_up
from llm_backend.upstream.upstream import ANYTHING, Upstream
from llm_backend.upstream.upstreams import Upstreams
from llm_backend.upstream.wire import Outbound, Reply

SAFE = frozenset({"GET", "DELETE"})
"""Methods that may be tried again whatever became of the first try."""

NOT_FOUND = 404

ACCEPT = {"binary": ANYTHING, "nothing": ANYTHING}
STREAMED = frozenset({"binary", "events"})
"""What may take as long as a stream may: nobody computes it first."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks, checked against the contract."""

    caller: Caller
    arguments: Mapping[str, Any]
    body: Json
    headers: Mapping[str, str]
    """The client's, lower case."""
    form: Form | None = None
    """What `body` was read from, where that is a form."""

    def sent(self, model: str | None) -> bytes | Form | None:
        """The body as an upstream gets it, with its own name for a model."""
        if self.form is not None:
            return self.form if model is None else self.form.replaced(model=model)
        if self.body is None:
            return None
        return orjson.dumps(self.body if model is None else {**self.body, "model": model})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    upstream: Upstream
    model: str | None = None
    """What the model that the body names is called there."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What every request passes on its way up."""

    limits: Limits
    total_seconds: float
    """What an answer may take, all attempts together."""


class Relaying:
    """Asks upstreams on an account's behalf. What it asks for costs nothing here and leaves no usage record."""

    def __init__(
        self, ownership: Ownership, catalogue: Catalogue, upstreams: Upstreams, gate: Gate, usual: str | None = None
    ) -> None:
        """`usual`: the upstream where objects are made when nothing says where; None: the first."""
        self.ownership = ownership
        self._catalogue = catalogue
        self._gate = gate
        self._upstreams = upstreams
        self._usual = usual

    async def place(self, errand: Errand, wish: Wish) -> Place:
        """Who is to be asked. Raises as `Ownership.where`, ModelNotFound, and PermissionDenied for the model."""
        where = await self.ownership.where(wish.caller.account_id, errand.named(wish.arguments, wish.body))
        model = wish.body.get("model") if isinstance(wish.body, dict) else None
        if isinstance(model, str):
            plan = await self._catalogue.plan(model, wish.caller.allows)
            route = (plan if where is None else plan.only_at(where)).route
            return Place(route.upstream, route.upstream_model)
        try:
            return Place(self._upstreams.get(where or self._usual or self._upstreams.default.name))
        except KeyError:
            # It was taken out of the configuration, and everything there with it.
            raise NotFound("What the request names is at an upstream that is no longer there.") from None

    async def answer(self, errand: Errand, wish: Wish) -> Answer:
        """The upstream's answer in one piece; what it made is the account's, what it deleted is forgotten.

        Raises as `place`, UpstreamFailed, Overloaded and RateLimited.
        """
        place = await self.place(errand, wish)
        async with self.admitted(wish) as permit:
            reply = await self._asked(place, errand, wish)
            try:
                raw = await reply.read()
            finally:
                await reply.close()
            headers = told(reply.headers, permit)
            if errand.gives == "binary":
                return Answer(raw, headers, reply.headers.get("content-type", "application/octet-stream"))
            content, strict = parsed(raw) if "json" in reply.headers.get("content-type", "") else (None, b"")
            await self._remember(errand, wish, place.upstream, content)
            return Answer(strict, headers)

    async def download(self, errand: Errand, wish: Wish) -> "Download":
        """An answer of any length and type, which has to be closed. Raises as `answer`."""
        place = await self.place(errand, wish)
        async with AsyncExitStack() as stack:
            permit = await stack.enter_async_context(self.admitted(wish))
            reply = await self._asked(place, errand, wish)
            stack.push_async_callback(reply.close)
            return Download(reply.chunks(), told(reply.headers, permit), stack.pop_all().aclose)

    async def content(self, errand: Errand, wish: Wish, place: Place) -> tuple[Json, dict[str, str]]:
        """What is answered there, and its headers that may be told. Raises UpstreamFailed and Overloaded."""
        reply = await self._asked(place, errand, wish)
        try:
            content, _ = parsed(await reply.read())
        finally:
            await reply.close()
        return content, passed_down(reply.headers)

    async def page(self, errand: Errand, wish: Wish, place: Place) -> tuple[Json, dict[str, str]]:
        """One page of a list, and its headers that may be told. Raises UpstreamInvalid where it is none."""
        content, headers = await self.content(errand, wish, place)
        if not isinstance(content, dict) or not isinstance(content.get("data"), list):
            raise UpstreamInvalid("The upstream's answer has no data.", should_retry=False)
        return content, headers

    @asynccontextmanager
    async def admitted(self, wish: Wish) -> AsyncIterator[Permit]:
        """Take one request of the rate limits of account, key and end user."""
        caller = wish.caller
        asked = Asked(
            caller.account_id,
            caller.key_id,
            model="",
            tokens=0,
            of_key=caller.limits_of_key,
            of_account=caller.limits_of_account,
            end_user=caller.end_user,
        )
        permit = await self._gate.limits.admit(asked)
        try:
            yield permit
        finally:
            await permit.settle(0)

    async def _asked(self, place: Place, errand: Errand, wish: Wish) -> Reply:
        call = Outbound(
            errand.method,
            errand.url(wish.arguments),
            wish.sent(place.model),
            errand.gives in STREAMED,
            passed_up(wish.headers),
            query=errand.encoded(wish.arguments),
            accept=ACCEPT.get(errand.gives),
        )
        try:
            return await self._tried(place.upstream, call)
        except UpstreamRejected as error:
            if errand.forgets and error.upstream_status == NOT_FOUND:
                await self._forget(errand, wish, place.upstream)
            raise

    async def _tried(self, upstream: Upstream, call: Outbound) -> Reply:
        end = asyncio.get_running_loop().time() + self._gate.total_seconds
        tried = 0
        while True:
            tried += 1
            try:
                return await upstream.open(call)
            except UpstreamFailed as error:
                if call.method not in SAFE and (error.outcome_unknown or not isinstance(error, Unreachable)):
                    raise  # it may have been done
                left = end - asyncio.get_running_loop().time()
                pause = upstream.retries.delay_before(error, tried, remaining_seconds=left)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _remember(self, errand: Errand, wish: Wish, upstream: Upstream, content: Json) -> None:
        if errand.forgets:
            if not (isinstance(content, dict) and content.get("deleted") is False):
                await self._forget(errand, wish, upstream)
            return
        await self.ownership.record(new_objects(errand, wish, upstream.name, content))

    async def _forget(self, errand: Errand, wish: Wish, upstream: Upstream) -> None:
        object_id = str(wish.arguments[errand.path_ids[-1].argument])
        await self.ownership.forget(wish.caller.account_id, upstream.name, object_id)


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is passed on piece by piece."""

    pieces: AsyncIterator[bytes]
    headers: Mapping[str, str]
    close: Callable[[], Awaitable[None]]
    """Lets go of the upstream; where it was not read to its end, the connection is cut."""


def new_objects(errand: Errand, wish: Wish, upstream: str, content: Json) -> list[UpstreamObject]:
    """What an answer says was made. Raises UpstreamInvalid where it does not say what it was asked to make."""
    above = str(wish.arguments[errand.path_ids[-1].argument]) if errand.path_ids else None
    tells = Makings(errand.makes, above)
    if "id" in errand.makes and tells.own(content) is None:
        raise UpstreamInvalid("The upstream's answer has no id.", outcome_unknown=True, should_retry=False)
    return tells.found(wish.caller.account_id, upstream, content)


def parsed(raw: bytes) -> tuple[Json, bytes]:
    """What the upstream said, and the same as strict JSON. Raises UpstreamInvalid where it is none."""
    try:
        return json_text.read(raw)
    except orjson.JSONDecodeError:
        raise UpstreamInvalid("The upstream's answer is not JSON.", should_retry=False) from None


def told(upstream: Mapping[str, str], permit: Permit) -> dict[str, str]:
    """The headers of an answer: where we have limits of our own, the upstream's are nobody's business."""
    passed = passed_down(upstream)
    if permit.headers:
        passed = {name: value for name, value in passed.items() if not name.startswith("x-ratelimit-")}
    return {**passed, **permit.headers}
