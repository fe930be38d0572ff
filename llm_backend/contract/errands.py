"""From a relayed operation to what is particular about it: read off its path and its answer, and the policy's say."""

from collections.abc import Iterable

from llm_backend.contract.documents import PREFIX, resolve
from llm_backend.contract.operations import Operation, operations, python_name
from llm_backend.domain.errands import Errand, Gives, PathId, QueryField
from llm_backend.domain.naming import Naming
from llm_backend.errors import Json

CURSORS = frozenset({"after", "before"})


class Errands:
    """Makes those of one document."""

    def __init__(self, document: Json) -> None:
        self._document = document
        told = document.get("x-ownership", {})
        self.naming = Naming(
            told.get("ids", {}),
            told.get("holders", {}),
            told.get("types", {}),
            frozenset(told.get("opaque", ())),
        )
        self._within = frozenset(told.get("within", ()))
        self._item_paths = _item_paths(operation.path for operation in operations(document))
        self._made = {kind for each in operations(document) for kind in self.makes(each).values()}

    def of(self, operation: Operation) -> Errand:
        """What is particular about an operation that is relayed, or that is served and names what upstreams keep."""
        parameters = [resolve(self._document, each) for each in operation.parameters]
        path_ids = tuple(
            PathId(name, python_name(name), self._kind_in_path(operation.path, name))
            for name in _places(operation.path)
        )
        lists = self._listed(operation)
        query = tuple(
            QueryField(each["name"], python_name(each["name"]), self._kind_in_query(each["name"], lists))
            for each in parameters
            if each["in"] == "query"
        )
        return Errand(
            operation=operation.id,
            method=operation.method.upper(),
            path=operation.path.removeprefix(PREFIX),
            naming=self.naming,
            path_ids=path_ids,
            query=query,
            makes=self.makes(operation),
            lists=lists,
            gives=self._gives(operation),
            forgets=operation.method == "delete"
            and bool(path_ids)
            and path_ids[-1].kind == _collection(operation.path),
        )

    def makes(self, operation: Operation) -> dict[str, str]:
        """Where the answer tells of new objects: what is posted to a collection is one of it."""
        told: dict[str, str] | None = operation.fields.get("x-makes")
        if told is not None:
            return told
        item = self._item_paths.get(operation.path)
        if operation.method != "post" or item is None or self._gives(operation) != "json":
            return {}
        kind = _collection(item)
        return {} if kind in self._within else {"id": kind}

    def _listed(self, operation: Operation) -> str | None:
        """The kind of a list that everybody shares."""
        item = self._item_paths.get(operation.path)
        return None if operation.method != "get" or item is None or "{" in operation.path else _collection(item)

    def _kind_in_path(self, path: str, name: str) -> str | None:
        """The kind of what a parameter names; None for what nobody could have recorded."""
        place = f"{{{name}}}"
        before = path[: path.index(place)]
        kind = _collection(before + place)
        if kind in self._within:
            return None
        if kind in self._made:
            return kind
        # Nobody makes such objects: it is one of another collection, or of what the path names before it.
        return self.naming.ids.get(name) or (None if "{" in before else kind)

    def _kind_in_query(self, name: str, lists: str | None) -> str | None:
        return lists if name in CURSORS else self.naming.ids.get(name)

    def _gives(self, operation: Operation) -> Gives:
        answers = operation.fields.get("responses", {})
        done = resolve(self._document, next((answers[each] for each in answers if each.startswith("2")), {}))
        media = done.get("content", {})
        if "application/json" in media:
            return "json"
        if not media:
            return "nothing"
        return "events" if "text/event-stream" in media else "binary"


def _item_paths(paths: Iterable[str]) -> dict[str, str]:
    """By the path of a collection, the path of one thing in it."""
    found = {}
    for path in paths:
        parts = path.split("/")
        for count, part in enumerate(parts):
            if part.startswith("{"):
                found["/".join(parts[:count])] = "/".join(parts[: count + 1])
    return found


def _places(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _collection(item_path: str) -> str:
    """`/v1/vector_stores/{id}/file_batches/{batch_id}` is of `vector_stores.file_batches`."""
    parts = item_path.removeprefix(f"{PREFIX}/").split("/")[:-1]
    return ".".join(part for part in parts if not part.startswith("{"))
