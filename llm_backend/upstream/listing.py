"""The upstream's own list of models: asked for at most once a minute, by one caller for all."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import orjson

from llm_backend import json_text
from llm_backend.errors import Json, LLMBackendError, UpstreamInvalid, UpstreamRejected
from llm_backend.model_ids import is_model_id
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.wire import Outbound

FRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0
"""How long a failure is believed before the upstream is asked again."""

ASK_SECONDS = 10.0
"""How long the list may take: requests wait for the first one."""

NO_LIST = frozenset({404, 405})
"""What upstreams answer that have no list: it is empty then."""


class Listing:
    """What `/models` says, kept; a stale list is served while it is asked for anew, and while the upstream is away."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float], ask_seconds: float = ASK_SECONDS) -> None:
        self._upstream = upstream
        self._clock = clock
        self._ask_seconds = ask_seconds
        self._models: Mapping[str, Json] | None = None
        self._failure: LLMBackendError | None = None
        self._due: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def current(self) -> Mapping[str, Json]:
        """OpenAI's model objects by id, in the upstream's order. Raises what asking raised where it never succeeded."""
        known = await self.known()
        if known is None:
            assert self._failure is not None
            raise _afresh(self._failure)
        return known

    async def known(self) -> Mapping[str, Json] | None:
        """As `current`, None where the upstream was never able to say."""
        if self._due is None or self._clock() >= self._due:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask(), name="list of models")
            if self._models is None:
                await asyncio.shield(self._asking)  # who stops waiting does not stop the others
        return self._models

    @property
    def is_asking(self) -> bool:
        """Whether the upstream is being asked now."""
        return self._asking is not None

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            self._models = await self._listed()
            self._due = self._clock() + FRESH_SECONDS
        except LLMBackendError as error:
            self._failure = _afresh(error)
            self._due = self._clock() + RETRY_SECONDS
        finally:
            self._asking = None

    async def _listed(self) -> Mapping[str, Json]:
        deadline = asyncio.get_running_loop().time() + self._ask_seconds
        try:
            reply = await self._upstream.open(Outbound("GET", "/models", deadline=deadline))
        except UpstreamRejected as error:
            if error.upstream_status in NO_LIST:
                return {}
            raise
        try:
            return dict(_models(await reply.read(), self._upstream.name))
        finally:
            await reply.close()


def _afresh(error: LLMBackendError) -> LLMBackendError:
    """The same error, never raised: one that is raised again and again gathers every traceback, and what these hold."""
    fresh = type(error).__new__(type(error), *error.args)
    fresh.__dict__.update(error.__dict__)
    return fresh


def _models(body: bytes, owner: str) -> Iterator[tuple[str, Json]]:
    """Yield each model of the list `body` that has a usable id, completed to what OpenAI's clients require."""
    try:
        listed = json_text.loads(body)["data"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise UpstreamInvalid("The upstream's list of models is none.") from error
    for model in listed if isinstance(listed, list) else ():
        name = model.get("id") if isinstance(model, dict) else None
        if isinstance(name, str) and is_model_id(name):
            created = model.get("created")
            is_time = isinstance(created, int) and not isinstance(created, bool)
            whose = model.get("owned_by")
            yield (
                name,
                {
                    **model,
                    "object": "model",
                    "created": created if is_time else 0,
                    "owned_by": whose if isinstance(whose, str) else owner,
                },
            )
