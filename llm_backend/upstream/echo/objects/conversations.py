"""Conversations: items in order, which responses go on with."""

from collections.abc import Iterable, Mapping

from llm_backend.errors import Json
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.asking import Ask
from llm_backend.upstream.echo.objects.items import items_of
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.script import Refusal

_MOST_ITEMS = 20


def create_conversation(ask: Ask) -> Event:
    items = _given(ask)
    payload = {
        "object": "conversation",
        "created_at": ask.store.moment(),
        "metadata": ask.fields.get("metadata") or {},
    }
    kept = ask.put("conv_", payload)
    append(ask.store, kept.path, items)
    return Event(kept.payload, is_part=True)


def create_items(ask: Ask) -> Event:
    ask.found()
    items = _given(ask)
    append(ask.store, ask.subject, items)
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return Event({"object": "list", "data": items, "has_more": False} | ends, is_part=True)


def delete_item(ask: Ask) -> Event:
    """What is left is the conversation, and is answered."""
    ask.found()
    ask.store.drop(ask.subject)
    return Event(ask.store.get(ask.subject.rpartition("/items/")[0]).payload, is_part=True)


def append(store: Store, conversation: str, items: Iterable[Mapping[str, Json]]) -> None:
    """`conversation`: its path."""
    for item in items:
        store.put(Kept(f"{conversation}/items/{item['id']}", dict(item)))


def _given(ask: Ask) -> list[dict[str, Json]]:
    items = items_of(ask.fields.get("items") or [], ask.store, "items")
    if len(items) > _MOST_ITEMS:
        raise Refusal(f"At most {_MOST_ITEMS} items are taken at once.", param="items", code="invalid_value")
    return items
