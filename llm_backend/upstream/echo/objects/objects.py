"""Requests about objects: found in the table, answered from the store."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import parse_qs

from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo.models import ECHO
from llm_backend.upstream.echo.objects.asking import Ask
from llm_backend.upstream.echo.objects.chats import kept_chat
from llm_backend.upstream.echo.objects.compactions import compact, count
from llm_backend.upstream.echo.objects.responses import respond
from llm_backend.upstream.echo.objects.store import Store
from llm_backend.upstream.echo.objects.table import acting
from llm_backend.upstream.echo.operations import Operation
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request, read
from llm_backend.upstream.forms import Form


class Objects:
    """All that is kept, and the operations that keep something by the way."""

    def __init__(self) -> None:
        store = Store()
        self._store = store
        self.operations: Mapping[str, Operation] = {
            "/chat/completions": Operation(partial(kept_chat, store)),
            "/responses": Operation(partial(respond, store)),
            "/responses/compact": Operation(partial(compact, store)),
            "/responses/input_tokens": Operation(partial(count, store), ECHO),
        }

    def prepared(self, method: str, path: str, query: str, body: bytes | Form | None) -> Prepared | None:
        """The answer, which is made and kept when it is asked for; None where there is no such request.

        Raises Refusal where the request is broken. A directive stands in a name: the object's, or its file's.
        """
        found = acting(method, path)
        if found is None:
            return None
        act, subject = found
        request = read(path, body) if body else Request({}, "")
        ask = Ask(self._store, path, subject, parse_qs(query, keep_blank_values=True), request)
        return Prepared(lambda: act(ask), asked.read(_named(request)))


def _named(request: Request) -> str:
    names = [request.fields.get("name"), request.fields.get("filename")]
    names += [part.filename for parts in request.files.values() for part in parts]
    return " ".join(name for name in names if isinstance(name, str))
