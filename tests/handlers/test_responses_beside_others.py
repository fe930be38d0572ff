"""Who goes on from a long talk does not keep others waiting, however short the request: threads are told apart."""

import threading

import pytest

from llm_backend.domain import items
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.work import LARGE_BYTES
from llm_backend.errors import Json
from llm_backend.storage.items import Item
from tests.databases import ON_SQLITE
from tests.handlers.conversing import Talker, says
from tests.handlers.responding import Asked

pytestmark = ON_SQLITE


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """In which threads items are parsed, and requests are measured before they are sent."""
    seen: dict[str, set[int]] = {"parsed": set(), "measured": set()}
    shown, measure = items.shown, Sizing.measure

    def parsing(kept: Item) -> dict[str, Json]:
        seen["parsed"].add(threading.get_ident())
        return shown(kept)

    def measuring(sizing: Sizing) -> None:
        seen["measured"].add(threading.get_ident())
        measure(sizing)

    monkeypatch.setattr(items, "shown", parsing)
    monkeypatch.setattr(Sizing, "measure", measuring)
    return seen


@pytest.mark.parametrize("is_referred_to", [False, True])
async def test_what_a_short_request_brings_along_is_looked_through_beside_the_loop(
    asked: Asked, threads: dict[str, set[int]], *, is_referred_to: bool
) -> None:
    talker = Talker(asked.client)
    talk = await talker.talk()
    made = await talker.add(talk, *[says("a" * (LARGE_BYTES // 2))] * 3)
    references = [{"type": "item_reference", "id": each["id"]} for each in made]
    given = {"input": references} if is_referred_to else {"input": "Hi", "conversation": talk}
    threads["parsed"].clear()
    asked.will_say()

    answer = await asked.client.post("/responses", json={"model": "m", **given})

    assert answer.status_code == 200, answer.text
    assert threads["measured"]
    assert {threading.get_ident()}.isdisjoint(threads["parsed"] | threads["measured"])


async def test_what_is_short_is_looked_through_at_once(asked: Asked, threads: dict[str, set[int]]) -> None:
    talk = await Talker(asked.client).talk(says("one"))
    asked.will_say()

    answer = await asked.client.post("/responses", json={"model": "m", "input": "Hi", "conversation": talk})

    assert answer.status_code == 200, answer.text
    assert (threads["parsed"], threads["measured"]) == ({threading.get_ident()}, set())
