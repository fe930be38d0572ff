"""Containers and their files; nothing runs in them."""

from llm_backend.errors import Json
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.asking import Ask
from llm_backend.upstream.echo.objects.contents import taken
from llm_backend.upstream.echo.objects.files import known_files
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.request import text_of


def create_container(ask: Ask) -> Event:
    given = known_files(ask, ask.fields.get("file_ids"))
    payload = {
        "object": "container",
        "created_at": ask.store.moment(),
        "last_active_at": ask.store.moment(),
        "name": text_of(ask.fields, "name"),
        "status": "running",
        "expires_after": ask.fields.get("expires_after") or {"anchor": "last_active_at", "minutes": 20},
        "memory_limit": ask.fields.get("memory_limit") or "1g",
    }
    kept = ask.put("cntr_", payload)
    for file in given:
        _put(ask.store, kept, file.payload["filename"], file.content)
    return Event(kept.payload, is_part=True)


def create_container_file(ask: Ask) -> Event:
    """A file of its own, or one that is there already."""
    above = ask.found()
    if "file" in ask.request.files:
        part = ask.request.file("file")
        return Event(_put(ask.store, above, part.filename or "", taken(part, ask.store)).payload, is_part=True)
    (known,) = known_files(ask, [ask.fields.get("file_id")])
    return Event(_put(ask.store, above, known.payload["filename"], known.content).payload, is_part=True)


def _put(store: Store, above: Kept, name: str, content: tuple[bytes, ...]) -> Kept:
    payload: dict[str, Json] = {
        "id": store.new_id("cfile_"),
        "object": "container.file",
        "bytes": sum(map(len, content)),
        "container_id": above.payload["id"],
        "created_at": store.moment(),
        "path": f"/mnt/data/{name}",
        "source": "user",
    }
    return store.put(Kept(f"{above.path}/files/{payload['id']}", payload, content))
