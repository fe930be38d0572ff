"""Vector stores: files that are found by the words they share with a query."""

from llm_backend.errors import Json
from llm_backend.upstream.echo.embeddings import DIMENSIONS, vector
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.asking import Ask
from llm_backend.upstream.echo.objects.contents import text_of
from llm_backend.upstream.echo.objects.files import known_files
from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.request import count_of
from llm_backend.upstream.echo.script import Refusal

_MOST_TEXT = 4096
"""Bytes of a file that are searched."""
_RESULTS = 10
_MOST_RESULTS = 50


def create_vector_store(ask: Ask) -> Event:
    files = known_files(ask, ask.fields.get("file_ids"))
    payload = {
        "object": "vector_store",
        "created_at": ask.store.moment(),
        "last_active_at": ask.store.moment(),
        "name": ask.fields.get("name") or "",
        "metadata": ask.fields.get("metadata") or {},
        "expires_after": ask.fields.get("expires_after"),
        "expires_at": None,
        "status": "completed",
    }
    kept = ask.put("vs_", payload | _counts([]))
    for file in files:
        _attach(ask.store, kept, file, ask.fields.get("attributes"))
    return Event(kept.payload, is_part=True)


def create_vector_store_file(ask: Ask) -> Event:
    above = ask.found()
    (file,) = known_files(ask, [ask.fields.get("file_id")])
    return Event(_attach(ask.store, above, file, ask.fields.get("attributes")).payload, is_part=True)


def create_file_batch(ask: Ask) -> Event:
    """Files attached at once, each with its own attributes or with those of all."""
    above = ask.found()
    own = ask.fields.get("files")
    described = own if isinstance(own, list) and all(isinstance(one, dict) for one in own) else []
    names = [one.get("file_id") for one in described] or ask.fields.get("file_ids")
    files = known_files(ask, names)
    if not files:
        message = "Missing required parameter: 'file_ids'."
        raise Refusal(message, param="file_ids", code="missing_required_parameter")
    attributes = [one.get("attributes") for one in described] or [ask.fields.get("attributes")] * len(files)
    payload = {
        "object": "vector_store.files_batch",
        "created_at": ask.store.moment(),
        "vector_store_id": ask.id,
        "status": "completed",
        "file_counts": _counts([0] * len(files))["file_counts"],
    }
    batch = ask.put("vsfb_", payload)
    for file, told in zip(files, attributes, strict=True):
        attached = _attach(ask.store, above, file, told)
        ask.store.put(Kept(f"{batch.path}/files/{attached.payload['id']}", attached.payload))
    return Event(batch.payload, is_part=True)


def cancel_file_batch(ask: Ask) -> Event:
    """What has ended already stays as it is."""
    return Event(ask.found().payload, is_part=True)


def delete_vector_store_file(ask: Ask) -> Event:
    ask.found()
    ask.store.drop(ask.subject)
    _recount(ask.store, ask.store.get(ask.subject.rpartition("/files/")[0]))
    return Event({"id": ask.id, "object": "vector_store.file.deleted", "deleted": True}, is_part=True)


def read_vector_store_file(ask: Ask) -> Event:
    """What is searched of it."""
    ask.found()
    data = [{"type": "text", "text": text_of(ask.store.get(f"/files/{ask.id}"), _MOST_TEXT)}]
    page = {"object": "vector_store.file_content.page", "data": data, "has_more": False, "next_page": None}
    return Event(page, is_part=True)


def search(ask: Ask) -> Event:
    """The files nearest to the query first, as near as their vectors are."""
    query = ask.fields.get("query")
    queries = [query] if isinstance(query, str) else query
    if not isinstance(queries, list) or not queries or not all(isinstance(text, str) for text in queries):
        raise Refusal("'query' is a text or a list of texts.", param="query", code="invalid_type")
    if ask.fields.get("filters") is not None:
        raise Refusal("The echo model filters no files.", param="filters", code="invalid_value")
    ask.found()
    wanted = vector(" ".join(queries), DIMENSIONS)
    kept_files = [kept for kept in ask.store.within(f"{ask.subject}/files") if ask.store.has(_file_of(kept))]
    found = [_result(ask.store, kept, wanted) for kept in kept_files]
    found.sort(key=lambda result: -result["score"])
    number = _RESULTS if ask.fields.get("max_num_results") is None else _number(ask)
    page = {"object": "vector_store.search_results.page", "search_query": queries, "data": found[:number]}
    return Event(page | {"has_more": False, "next_page": None}, is_part=True)


def _number(ask: Ask) -> int:
    return count_of(ask.fields, "max_num_results", 1, _MOST_RESULTS)


def _file_of(kept: Kept) -> str:
    return f"/files/{kept.payload['id']}"


def _result(store: Store, kept: Kept, wanted: tuple[float, ...]) -> dict[str, Json]:
    file = store.get(_file_of(kept))
    text = text_of(file, _MOST_TEXT)
    score = sum(mine * theirs for mine, theirs in zip(vector(text, DIMENSIONS), wanted, strict=True))
    return {
        "file_id": kept.payload["id"],
        "filename": file.payload["filename"],
        "score": round(max(0.0, min(1.0, score)), 6),
        "attributes": kept.payload["attributes"],
        "content": [{"type": "text", "text": text}],
    }


def _attach(store: Store, above: Kept, file: Kept, attributes: Json) -> Kept:
    payload: dict[str, Json] = {
        "id": file.payload["id"],
        "object": "vector_store.file",
        "created_at": store.moment(),
        "vector_store_id": above.payload["id"],
        "status": "completed",
        "usage_bytes": file.payload["bytes"],
        "attributes": attributes or {},
        "last_error": None,
    }
    kept = store.put(Kept(f"{above.path}/files/{payload['id']}", payload))
    _recount(store, above)
    return kept


def _recount(store: Store, above: Kept) -> None:
    above.payload |= _counts([kept.payload["usage_bytes"] for kept in store.within(f"{above.path}/files")])


def _counts(sizes: list[int]) -> dict[str, Json]:
    number = len(sizes)
    counts = {"in_progress": 0, "completed": number, "failed": 0, "cancelled": 0, "total": number}
    return {"file_counts": counts, "usage_bytes": sum(sizes)}
