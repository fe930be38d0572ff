"""The gate: every request is bounded, named and made whole here, and every error is answered here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_backend.edge import head, media, problems
from llm_backend.edge.admission import Admission
from llm_backend.edge.call import CALL, Call
from llm_backend.edge.cors import PREFLIGHT
from llm_backend.edge.forms import Upload
from llm_backend.edge.intake import ARRIVED, Departed, Intake, replayed
from llm_backend.edge.media import Readable
from llm_backend.edge.replying import Reply
from llm_backend.edge.rewriting import Rewriting
from llm_backend.edge.signposts import Signposts
from llm_backend.errors import ClientLeft

BodyLimit = Callable[[str, str], Readable | None]
"""From method and path to what a body there may be; None where nobody reads it."""
Count = Callable[[str, int], None]
"""Told of each request's end: its operation's id, `none` where it has none, and its status."""

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ABOUT_THE_BODY = ("transfer-encoding", "content-encoding", "content-length", "content-type", "expect")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client that does not go on is waited for, in seconds, and how much more is read of a refused body."""

    body_progress_seconds: float = 30.0
    linger_seconds: float = 2.0
    linger_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may be."""

    body_limit: BodyLimit
    hosts: frozenset[str] | None = None
    """The names, without port, by which the server may be called; None for any."""
    patience: Patience = Patience()


class Guard:
    """Outermost but CORS. Puts a `Call` into the scope of each request that it lets in."""

    def __init__(  # noqa: PLR0913 (what surrounds a request, each by name)
        self,
        app: ASGIApp,
        *,
        bounds: Bounds,
        rewriting: Rewriting,
        signposts: Signposts,
        admission: Admission,
        count: Count,
        plain_roots: frozenset[str] = frozenset(),
    ) -> None:
        """`plain_roots`: the first parts of the paths below which every error is a plain text, routed or not."""
        self._app = app
        self._bounds = bounds
        self._rewriting = rewriting
        self._signposts = signposts
        self._admission = admission
        self._count = count
        self._plain_roots = plain_roots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _call(dict(scope), receive)
        intake = Intake(receive, self._bounds.patience.body_progress_seconds, scope.get(ARRIVED))
        reply = Reply(call, send)
        try:
            await self._answer(call, intake, reply)
        except (Departed, ClientLeft):
            call.log["departed"] = True
        except Exception as error:  # noqa: BLE001 (this is where all of them end)
            await self._refuse(error, call, intake, reply)
        finally:
            if call.form is not None:
                call.form.close()
            reply.log()
            self._count(call.operation_id or "none", reply.outcome)
            # Or the call and its scope would hold each other until the collector comes.
            del call.scope[CALL]

    async def _answer(self, call: Call, intake: Intake, reply: Reply) -> None:
        headers = head.headers_of(call.scope["headers"])
        call.headers = headers
        sent = headers.get("x-request-id", "")
        if _REQUEST_ID.fullmatch(sent):  # harmless to write into headers and logs
            call.request_id = sent
        head.check_framing(headers, call.scope["http_version"])
        head.check_host(headers, self._bounds.hosts)
        if PREFLIGHT in call.scope:
            # A browser that is refused here could not tell its page why: the request itself will be told.
            await self._take(call, intake, headers)
            await self._send(call.scope[PREFLIGHT], reply)
            return
        head.check_path(call.scope)
        self._admission.enter(call.path)
        try:
            self._rewriting.apply(call.scope, headers)
            call.path = call.scope["path"]
            await self._take(call, intake, headers)
            await self._app(call.scope, replayed(call.raw_body, call.receive), reply.send)
        finally:
            self._admission.leave()

    async def _take(self, call: Call, intake: Intake, headers: dict[str, str]) -> None:
        """Read the body, if anybody will, and leave headers that describe what was read.

        A form is left unread: what its files cost is for those who are let in.
        """
        declared = media.declared_length(headers.get("content-length"))
        has_body = bool(declared) or "transfer-encoding" in headers
        readable = self._bounds.body_limit(call.method, call.path)
        kind, body = None, b""
        if readable is not None and has_body:
            # Judged before the body is read: what will be refused need not be waited for.
            if call.method in _WITH_BODY:
                kind = media.body_type(headers.get("content-type"), headers.get("content-encoding"), readable)
            if kind is not None and kind.kind == media.FORM and readable.form is not None:
                call.upload = Upload(intake, kind.boundary, readable.form, declared)
            elif readable.json is not None:
                body = await intake.read(readable.json, declared)
        for name in _ABOUT_THE_BODY:
            headers.pop(name, None)
        if kind is not None:
            headers["content-type"] = kind.kind
        if call.method in _WITH_BODY:
            # A body of GET or DELETE means nothing to any operation: read, to keep the connection in step, and dropped.
            call.raw_body = body
            headers["content-length"] = str(len(body))

    async def _refuse(self, error: Exception, call: Call, intake: Intake, reply: Reply) -> None:
        known = problems.understood(error, call.scope, call.request_id, self._signposts)
        call.log.setdefault("error", known.code)
        if reply.status is not None:
            return  # too late for a status: an answer left incomplete makes the server cut the connection
        # Refused before its body was read: what is still on its way belongs to no other request.
        reply.closes = not intake.is_complete
        plainly = call.path.removeprefix("/").partition("/")[0] in self._plain_roots
        await self._send(problems.render(known, call.request_id, plainly=plainly), reply)
        if reply.closes:
            patience = self._bounds.patience
            await intake.discard(patience.linger_bytes, patience.linger_seconds)
            await reply.send({"type": "http.response.body", "body": b"", "more_body": False})

    @staticmethod
    async def _send(response: Response, reply: Reply) -> None:
        for message in (
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers},
            {"type": "http.response.body", "body": response.body, "more_body": reply.closes},
        ):
            await reply.send(message)


def _call(scope: Scope, receive: Receive) -> Call:
    call = Call(
        request_id=f"req_{token_hex(16)}",
        method=scope["method"],
        path=scope["path"],
        headers={},
        raw_body=b"",
        receive=receive,
        scope=scope,
    )
    scope[CALL] = call
    scope["extensions"] = dict(scope.get("extensions") or {})  # Connexion notes the operation here: Call.operation_id
    if call.method == "HEAD":
        # Starlette gives each GET a HEAD, which would run the operation for nothing; no path here has the method.
        scope["method"] = "TRACE"
    return call
