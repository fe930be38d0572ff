"""One request about objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.request import Request
from llm_backend.upstream.echo.script import Refusal


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked, and of which object."""

    store: Store
    path: str
    subject: str
    """The path up to its last id: the object asked for, or the one above; empty where there is none."""
    query: Mapping[str, Sequence[str]]
    request: Request

    @property
    def fields(self) -> Mapping[str, Json]:
        return self.request.fields

    @property
    def id(self) -> str:
        return self.subject.rpartition("/")[2]

    def found(self) -> Kept:
        """The object. Raises Refusal, a 404."""
        return self.store.get(self.subject)

    def put(self, prefix: str, payload: dict[str, Json], content: tuple[bytes, ...] = ()) -> Kept:
        """A new object under the path, with an id of its own where `payload` has none."""
        if self.subject:
            self.found()
        named = {"id": self.store.new_id(prefix), **payload}
        return self.store.put(Kept(f"{self.path}/{named['id']}", named, content))

    def one(self, name: str) -> str | None:
        """The last value of `name` in the query."""
        return self.query[name][-1] if name in self.query else None


def listed(ask: Ask, *, most: int = 100, order: str = "desc", filters: Sequence[str] = ()) -> Json:
    """A page of the objects under the path. `filters`: names in the query that have to be as in the object."""
    if ask.subject:
        ask.found()
    found = [kept.payload for kept in ask.store.within(ask.path) if _fits(kept.payload, ask, filters)]
    if (ask.one("order") or order) == "desc":
        found.reverse()
    limit = _limit(ask, min(most, 20) if most <= 100 else most, most)  # noqa: PLR2004 (OpenAI's)
    left = _behind(_before(found, ask), ask)
    page = left[:limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, "has_more": len(left) > limit} | ends


def _limit(ask: Ask, default: int, most: int) -> int:
    text = ask.one("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= most):
        raise Refusal(f"'limit' is a number from 1 to {most}.", param="limit", code="invalid_value")
    return int(text)


def _behind(found: Sequence[Json], ask: Ask) -> Sequence[Json]:
    after = ask.one("after")
    return found if after is None else found[_place(found, after, "after") + 1 :]


def _before(found: Sequence[Json], ask: Ask) -> Sequence[Json]:
    before = ask.one("before")
    return found if before is None else found[: _place(found, before, "before")]


def _place(found: Sequence[Json], name: str, param: str) -> int:
    for place, payload in enumerate(found):
        if payload["id"] == name:
            return place
    raise Refusal(f"There is nothing with that id to list {param}.", param=param, code="invalid_value")


def _fits(payload: Mapping[str, Json], ask: Ask, filters: Sequence[str]) -> bool:
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): values[-1]
        for name, values in ask.query.items()
        if name.startswith("metadata[")
    }
    same = all(payload.get(name) == ask.one(name) for name in filters if name in ask.query)
    known = payload.get("metadata")
    return same and metadata.items() <= (known if isinstance(known, dict) else {}).items()
