"""Whose the upstream's objects are: its key is everybody's, so that only what is recorded here tells them apart."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from llm_backend.domain.clock import Clock
from llm_backend.domain.naming import OBJECT_ID, Named, made
from llm_backend.errors import InvalidRequest, Json, NotFound, UpstreamInvalid
from llm_backend.storage import upstream_objects
from llm_backend.storage.database import Database
from llm_backend.storage.upstream_objects import UpstreamObject

MOST_NAMED = 10_000
"""Objects in one request, as many as a chat has messages: each is looked up."""


@dataclass(frozen=True, slots=True)
class Makings:
    """What answers of one operation tell of."""

    places: Mapping[str, str]
    """Where ids of new objects stand, and of which kind they are; `id` is that of what was asked for."""
    above: str | None = None
    """The object below whose path they are made."""

    def found(self, account_id: int, upstream: str, content: Json) -> list[UpstreamObject]:
        """The objects, each with the one that it goes with: what has a collection of its own outlives all others."""
        there = dict.fromkeys(made(content, self.places))
        own = self.own(content)
        objects = []
        for kind, each in there:
            parent = self.above if each == own else own or self.above
            objects.append(UpstreamObject(account_id, upstream, kind, each, parent if "." in kind else None))
        return objects

    def own(self, content: Json) -> str | None:
        """The id of what was asked for."""
        return next((each for _, each in made(content, {"id": ""})), None) if "id" in self.places else None


class Recording:
    """Remembers what one answer tells of, piece by piece where it comes so: a `Note` of `work`."""

    def __init__(self, ownership: "Ownership", account_id: int, makings: Makings) -> None:
        self._ownership = ownership
        self._account_id = account_id
        self._makings = makings
        self._known: set[UpstreamObject] = set()

    async def __call__(self, upstream: str, content: Json) -> None:
        """Take the whole answer, or one event of it."""
        if isinstance(content, dict) and isinstance(content.get("response"), dict):
            content = content["response"]
        new = set(self._makings.found(self._account_id, upstream, content)) - self._known
        if new:
            # An answer is no worse for an id that another has: many upstreams keep none, and draw ids from few numbers.
            await self._ownership.record_new(new)
            self._known |= new


class Ownership:
    """Knows which account made what, and where."""

    def __init__(self, database: Database, clock: Clock, *, passes_unknown: bool = False) -> None:
        """`passes_unknown`: whether an object that nobody is known to have made is anybody's."""
        self._database = database
        self._clock = clock
        self.passes_unknown = passes_unknown

    async def where(self, account_id: int, named: Iterable[Named]) -> str | None:
        """The upstream that has all of these objects of the account's; None where nothing is known of any.

        Raises NotFound for one that is not the account's own, and InvalidRequest for too many or where they are not
        together.
        """
        every = list(islice(named, MOST_NAMED + 1))
        if not every:
            return None
        if len(every) > MOST_NAMED:
            raise InvalidRequest(f"A request names at most {MOST_NAMED} objects.", param=every[-1].param)
        known = await self._database.detached(self._find({each.object_id for each in every}))
        upstream: str | None = None
        for each in every:
            found = self._own(account_id, each, known.get(each.object_id, []))
            if found is None:
                continue
            if upstream not in (None, found.upstream):
                message = f"'{each.param}' is kept by another upstream than what else the request names."
                raise InvalidRequest(message, param=each.param)
            upstream = found.upstream
        return upstream

    async def record(self, objects: Collection[UpstreamObject]) -> None:
        """Remember whose these are. Raises UpstreamInvalid where one is another account's.

        What only goes with something may be named in another's words, which an answer repeats: it stays the other's.
        """
        if objects:
            await self._database.detached(self._record(objects))

    async def record_new(self, objects: Collection[UpstreamObject]) -> None:
        """Remember whose these are; what is another account's stays so."""
        await self._database.detached(self._record(objects, refuses_foreign=False))

    async def forget(self, account_id: int, upstream: str, object_id: str) -> None:
        """The object is gone, and what went with it."""
        await self._database.detached(self._forget(account_id, upstream, object_id))

    async def count(self, account_id: int, upstream: str, kind: str, most: int) -> int:
        """How many of a kind the account has there; `most` where there are more."""
        return await self._database.detached(self._count(account_id, upstream, kind, most))

    async def own(self, account_id: int, upstream: str, kind: str, ids: Iterable[str]) -> set[str]:
        """Which of these are the account's."""
        known = await self._database.detached(self._find(ids))
        objects = (each for every in known.values() for each in every)
        wanted = (account_id, upstream, kind)
        return {each.object_id for each in objects if (each.account_id, each.upstream, each.kind) == wanted}

    def _own(self, account_id: int, named: Named, known: list[UpstreamObject]) -> UpstreamObject | None:
        for each in known:
            is_within = named.parent_id is None or each.parent_id in (None, named.parent_id)
            if (each.account_id, each.kind) == (account_id, named.kind) and is_within:
                return each
        if known or not self.passes_unknown:
            raise NotFound.of(named.param)
        return None

    async def _find(self, ids: Iterable[str]) -> dict[str, list[UpstreamObject]]:
        # What can be no id is nobody's, and need be no text that a database takes.
        possible = [each for each in ids if OBJECT_ID.fullmatch(each)]
        async with self._database.reading() as session:
            found = await upstream_objects.find(session, possible)
        known: dict[str, list[UpstreamObject]] = {}
        for each in found:
            known.setdefault(each.object_id, []).append(each)
        return known

    async def _record(self, objects: Collection[UpstreamObject], *, refuses_foreign: bool = True) -> None:
        async with self._database.begin() as session:
            foreign = await upstream_objects.add(session, objects, self._clock.now())
            if refuses_foreign and any(each.parent_id is None for each in foreign):
                message = "The upstream gave an object an id that another one has."
                raise UpstreamInvalid(message, outcome_unknown=True, should_retry=False)

    async def _forget(self, account_id: int, upstream: str, object_id: str) -> None:
        async with self._database.begin() as session:
            await upstream_objects.remove(session, account_id, upstream, object_id)

    async def _count(self, account_id: int, upstream: str, kind: str, most: int) -> int:
        async with self._database.reading() as session:
            return await upstream_objects.count(session, account_id, upstream, kind, most)
