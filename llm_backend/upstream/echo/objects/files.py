"""Files, and the uploads that become files."""

from collections.abc import Mapping, Sequence

from llm_backend.errors import Json
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.asking import Ask
from llm_backend.upstream.echo.objects.contents import given, taken
from llm_backend.upstream.echo.objects.store import Kept
from llm_backend.upstream.echo.prepared import Blob
from llm_backend.upstream.echo.request import count_of, text_of
from llm_backend.upstream.echo.script import Refusal

_UPLOAD_SECONDS = 3600
_MOST_UPLOAD_BYTES = 8 * 1024**3


def create_file(ask: Ask) -> Event:
    part = ask.request.file("file")
    purpose = text_of(ask.fields, "purpose")
    payload = _file(ask, part.filename or "", purpose, part.size, ask.fields.get("expires_after"))
    return Event(ask.put("file-", payload, taken(part, ask.store)).payload, is_part=True)


def read_content(ask: Ask) -> Blob:
    return given(ask.found())


def create_upload(ask: Ask) -> Event:
    payload = {
        "object": "upload",
        "bytes": count_of(ask.fields, "bytes", 0, _MOST_UPLOAD_BYTES),
        "created_at": ask.store.moment(),
        "expires_at": ask.store.moment() + _UPLOAD_SECONDS,
        "filename": text_of(ask.fields, "filename"),
        "purpose": text_of(ask.fields, "purpose"),
        "status": "pending",
        "file": None,
    }
    return Event(ask.put("upload_", payload).payload, is_part=True)


def add_part(ask: Ask) -> Event:
    _pending(ask)
    payload = {"object": "upload.part", "created_at": ask.store.moment(), "upload_id": ask.id}
    return Event(ask.put("part_", payload, taken(ask.request.file("data"), ask.store)).payload, is_part=True)


def complete_upload(ask: Ask) -> Event:
    """The parts in the order named become a file, without being copied."""
    upload = _pending(ask)
    names = ask.fields.get("part_ids")
    if not isinstance(names, list):
        raise Refusal("Missing required parameter: 'part_ids'.", param="part_ids", code="missing_required_parameter")
    content = tuple(piece for name in names for piece in ask.store.get(f"{ask.subject}/parts/{name}").content)
    size = sum(map(len, content))
    if size != upload.payload["bytes"]:
        message = "The parts have not as many bytes as the upload was to have."
        raise Refusal(message, param="part_ids", code="invalid_value")
    payload = _file(ask, upload.payload["filename"], upload.payload["purpose"], size, None)
    payload["id"] = ask.store.new_id("file-")
    ask.store.drop(f"{ask.subject}/parts")
    file = ask.store.put(Kept(f"/files/{payload['id']}", payload, content))
    upload.payload |= {"status": "completed", "file": file.payload}
    return Event(upload.payload, is_part=True)


def cancel_upload(ask: Ask) -> Event:
    upload = _pending(ask)
    ask.store.drop(f"{ask.subject}/parts")
    upload.payload["status"] = "cancelled"
    return Event(upload.payload, is_part=True)


def _pending(ask: Ask) -> Kept:
    upload = ask.found()
    if upload.payload["status"] != "pending":
        raise Refusal("The upload is not pending any more.", param="upload_id", code="invalid_value")
    return upload


def _file(ask: Ask, name: str, purpose: str, size: int, expires: Json) -> dict[str, Json]:
    created = ask.store.moment()
    return {
        "object": "file",
        "bytes": size,
        "created_at": created,
        "expires_at": created + int(_seconds(expires)) if isinstance(expires, dict) else None,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }


def _seconds(expires: Mapping[str, Json]) -> int:
    return count_of(expires, "seconds", _UPLOAD_SECONDS, 30 * 24 * _UPLOAD_SECONDS)


def known_files(ask: Ask, names: Json) -> Sequence[Kept]:
    """The files with these ids. Raises Refusal, a 404, where one is missing."""
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refusal("'file_ids' is a list of ids.", param="file_ids", code="invalid_type")
    return [ask.store.get(f"/files/{name}") for name in names]
