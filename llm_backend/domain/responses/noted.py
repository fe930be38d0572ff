"""What is noted of a response that is made in the background, until it has ended: enough to ask for it anew."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import orjson

from llm_backend.domain.items import rows
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.work import Work
from llm_backend.errors import Json
from llm_backend.storage.items import Item
from llm_backend.storage.responses import Response

VARIANTS = frozenset({"openai-beta"})


class Noted(NamedTuple):
    """One request."""

    body: Json
    """As the client sent it; its input as items, under the ids that they keep."""

    headers: Mapping[str, str]
    """Those of the client's that decide which variant it gets."""
    query: str
    """Encoded: the same."""

    @classmethod
    def of(cls, work: Work, draft: Draft) -> Self:
        """What is noted of a draft that `work` asked for."""
        headers = {name: value for name, value in work.headers.items() if name in VARIANTS}
        return cls({**work.body, "input": draft.given}, headers, work.query)

    @classmethod
    def read(cls, found: Response) -> Self | None:
        """What is noted of a kept response; None where nothing is."""
        return None if found.request is None else cls(**orjson.loads(found.request))

    def written(self) -> bytes:
        """The column of its row."""
        return orjson.dumps(self._asdict())

    @property
    def given(self) -> list[dict[str, Json]]:
        """Its input, as items."""
        given: list[dict[str, Json]] = self.body["input"]
        return given


def unplaced(found: Response) -> list[Item]:
    """What a response was given that stands in no conversation yet, as it will stand there: none where nobody knows."""
    noted = Noted.read(found)
    if noted is None:
        return []
    kept = rows(noted.given, (found.account_id, 0, 0), found.created_at)
    return [Item(id=0, updated_at=None, **each) for each in kept]
