"""Chat completions that are kept because `store` asked for it."""

from collections.abc import Iterator
from dataclasses import replace

from llm_backend.errors import Json
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.operations import chat
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request


def kept_chat(store: Store, request: Request) -> Prepared:
    """As `chat`; where `store` is true, under an id of its own, and kept once it has been told."""
    prepared = chat(request)
    if request.fields.get("store") is not True:
        return prepared
    assert prepared.events is not None, "a chat streams"
    name = store.new_id("chatcmpl-")
    events = prepared.events

    def whole() -> Event:
        event = prepared.whole()
        assert isinstance(event, Event), "a chat is JSON"
        named = _named(event, name)
        _keep(store, request, named.payload)
        return named

    def told() -> Iterator[Event]:
        yield from (_named(event, name) for event in events())
        whole()

    return replace(prepared, whole=whole, events=told)


def _named(event: Event, name: str) -> Event:
    return replace(event, payload=event.payload | {"id": name})


def _keep(store: Store, request: Request, payload: dict[str, Json]) -> None:
    path = f"/chat/completions/{payload['id']}"
    store.put(Kept(path, payload | {"metadata": request.fields.get("metadata") or {}}))
    for index, message in enumerate(request.fields["messages"]):
        name = f"{payload['id']}-{index}"
        told = {"refusal": None, "content_parts": None, **message, "id": name}
        if isinstance(message.get("content"), list):
            told |= {"content": None, "content_parts": message["content"]}
        store.put(Kept(f"{path}/messages/{name}", told))
