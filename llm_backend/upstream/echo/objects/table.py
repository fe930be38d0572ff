"""Which request about objects does what."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects import containers, conversations, files, vector_stores
from llm_backend.upstream.echo.objects.asking import Ask, listed
from llm_backend.upstream.echo.prepared import Blob
from llm_backend.upstream.echo.script import Refusal

Act = Callable[[Ask], Event | Blob]

_MOST_FILES = 10_000


def _retrieve(ask: Ask) -> Event:
    return Event(ask.found().payload, is_part=True)


def _list(ask: Ask, **how: Json) -> Event:
    return Event(listed(ask, **how), is_part=True)


def _update(names: Sequence[str], ask: Ask) -> Event:
    """Those of `names` that the request has."""
    kept = ask.found()
    kept.payload |= {name: ask.fields[name] for name in names if name in ask.fields}
    return Event(kept.payload, is_part=True)


def _delete(kind: str, ask: Ask) -> Event:
    ask.found()
    ask.store.drop(ask.subject)
    return Event({"id": ask.id, "object": kind, "deleted": True}, is_part=True)


def _cancel(ask: Ask) -> Event:
    """A response has ended when it is known."""
    ask.found()
    raise Refusal("A completed response cannot be cancelled.", param="response_id", code="invalid_value")


TABLE: Final[Mapping[tuple[str, str], Act]] = {
    ("POST", "/files"): files.create_file,
    ("GET", "/files"): partial(_list, most=_MOST_FILES, filters=("purpose",)),
    ("GET", "/files/{}"): _retrieve,
    ("DELETE", "/files/{}"): partial(_delete, "file"),
    ("GET", "/files/{}/content"): files.read_content,
    ("POST", "/uploads"): files.create_upload,
    ("POST", "/uploads/{}/parts"): files.add_part,
    ("POST", "/uploads/{}/complete"): files.complete_upload,
    ("POST", "/uploads/{}/cancel"): files.cancel_upload,
    ("POST", "/vector_stores"): vector_stores.create_vector_store,
    ("GET", "/vector_stores"): _list,
    ("GET", "/vector_stores/{}"): _retrieve,
    ("POST", "/vector_stores/{}"): partial(_update, ("name", "metadata", "expires_after")),
    ("DELETE", "/vector_stores/{}"): partial(_delete, "vector_store.deleted"),
    ("POST", "/vector_stores/{}/search"): vector_stores.search,
    ("POST", "/vector_stores/{}/files"): vector_stores.create_vector_store_file,
    ("GET", "/vector_stores/{}/files"): _list,
    ("GET", "/vector_stores/{}/files/{}"): _retrieve,
    ("POST", "/vector_stores/{}/files/{}"): partial(_update, ("attributes",)),
    ("DELETE", "/vector_stores/{}/files/{}"): vector_stores.delete_vector_store_file,
    ("GET", "/vector_stores/{}/files/{}/content"): vector_stores.read_vector_store_file,
    ("POST", "/vector_stores/{}/file_batches"): vector_stores.create_file_batch,
    ("GET", "/vector_stores/{}/file_batches/{}"): _retrieve,
    ("POST", "/vector_stores/{}/file_batches/{}/cancel"): vector_stores.cancel_file_batch,
    ("GET", "/vector_stores/{}/file_batches/{}/files"): _list,
    ("POST", "/containers"): containers.create_container,
    ("GET", "/containers"): partial(_list, filters=("name",)),
    ("GET", "/containers/{}"): _retrieve,
    ("DELETE", "/containers/{}"): partial(_delete, "container.deleted"),
    ("POST", "/containers/{}/files"): containers.create_container_file,
    ("GET", "/containers/{}/files"): _list,
    ("GET", "/containers/{}/files/{}"): _retrieve,
    ("DELETE", "/containers/{}/files/{}"): partial(_delete, "container.file.deleted"),
    ("GET", "/containers/{}/files/{}/content"): files.read_content,
    ("POST", "/conversations"): conversations.create_conversation,
    ("GET", "/conversations/{}"): _retrieve,
    ("POST", "/conversations/{}"): partial(_update, ("metadata",)),
    ("DELETE", "/conversations/{}"): partial(_delete, "conversation.deleted"),
    ("POST", "/conversations/{}/items"): conversations.create_items,
    ("GET", "/conversations/{}/items"): _list,
    ("GET", "/conversations/{}/items/{}"): _retrieve,
    ("DELETE", "/conversations/{}/items/{}"): conversations.delete_item,
    ("GET", "/responses/{}"): _retrieve,
    ("DELETE", "/responses/{}"): partial(_delete, "response"),
    ("GET", "/responses/{}/input_items"): _list,
    ("POST", "/responses/{}/cancel"): _cancel,
    ("GET", "/chat/completions"): partial(_list, order="asc", filters=("model",)),
    ("GET", "/chat/completions/{}"): _retrieve,
    ("POST", "/chat/completions/{}"): partial(_update, ("metadata",)),
    ("DELETE", "/chat/completions/{}"): partial(_delete, "chat.completion.deleted"),
    ("GET", "/chat/completions/{}/messages"): partial(_list, order="asc"),
}


def acting(method: str, path: str) -> tuple[Act, str] | None:
    """What is done, and the path up to its last id; None where there is no such request."""
    segments = path.split("/")
    for (verb, template), act in TABLE.items():
        wanted = template.split("/")
        fits = verb == method and len(wanted) == len(segments)
        if fits and all(want in ("{}", have) and have != "" for want, have in _pairs(wanted, segments)):
            ids = [place for place, want in enumerate(wanted) if want == "{}"]
            return act, "/".join(segments[: ids[-1] + 1]) if ids else ""
    return None


def _pairs(wanted: Sequence[str], segments: Sequence[str]) -> list[tuple[str, str]]:
    """Without the empty ones before the first slash."""
    return list(zip(wanted, segments, strict=True))[1:]
