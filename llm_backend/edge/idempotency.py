"""The header `Idempotency-Key`: a POST that bears one is run once, and answered as often as it is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256

import orjson
from starlette.responses import Response

from llm_backend.domain.idempotency import PARAM, Keyed, Once, Tell
from llm_backend.domain.results import Told
from llm_backend.edge import problems
from llm_backend.edge.call import Call
from llm_backend.edge.downloads import Passing, events
from llm_backend.edge.replies import EVENT_STREAM_HEADERS, PipedReply
from llm_backend.edge.resuming import LAST_EVENT_ID, is_resumable
from llm_backend.errors import InvalidRequest, LLMBackendError
from llm_backend.upstream.forms import Form

HEADER = "idempotency-key"
CHAT_OPERATION = "createChatCompletion"
REPLAYED = "idempotent-replayed"
LONGEST = 255

_ERROR = 400
_READ = 128 * 1024


async def answered_once(call: Call, answer: Callable[[], Awaitable[Response]], *, plainly: bool) -> Response:
    """What `answer` returns, or what it returned when the same request came with the same key before.

    `plainly`: whether the operation's errors are plain texts. Raises what `answer` raises, InvalidRequest for a key
    that is none, and as `Idempotency.claim`.
    """
    key = call.headers.get(HEADER)
    if key is None:
        return await answer()
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        message = f"An idempotency key has 1 to {LONGEST} printable ASCII characters."
        raise InvalidRequest(message, param=PARAM, code="invalid_idempotency_key")
    if call.operation_id == CHAT_OPERATION and (LAST_EVENT_ID in call.headers or is_resumable(call)):
        # What is told again under a key is the whole of it.
        raise InvalidRequest(f"A stream that can be resumed is asked for without '{PARAM}'.", param=PARAM)
    account_id = call.caller.account_id if call.caller else None
    keyed = Keyed(account_id, key, await _fingerprint(call), call.request_id)
    claimed = await call.services.idempotency.claim(keyed, _telling(call, plainly=plainly))
    if isinstance(claimed, Told):
        call.log["replayed"] = True
        return await _again(call, claimed)
    call.once = claimed
    return await _first(claimed, answer)


async def _first(once: Once, answer: Callable[[], Awaitable[Response]]) -> Response:
    try:
        response = await answer()
    except Exception as error:
        await once.refused(error if isinstance(error, LLMBackendError) else None)
        raise
    except BaseException:
        # Interrupted: what was begun may still be under way, and ends without us.
        once.leave()
        raise
    if isinstance(response, PipedReply):
        once.follow(response.settled())
    else:
        events_of = response.events_of if isinstance(response, Passing) else None
        body = b"" if events_of else bytes(response.body)
        await once.answered(Told(response.status_code, response.headers["content-type"], body, events_of))
    return response


async def _again(call: Call, told: Told) -> Response:
    """Raises NotFound where a response is just deleted, InvalidRequest where its events are no longer kept."""
    if told.events_of is not None and call.caller is not None:
        blocks = await call.services.responses.events(call.caller.account_id, told.events_of, -1)
        return events(call, blocks, headers={REPLAYED: "true"})
    is_stream = told.content_type == EVENT_STREAM_HEADERS["content-type"]
    headers = dict(EVENT_STREAM_HEADERS) if is_stream else {"content-type": told.content_type}
    headers[REPLAYED] = "true"
    if told.status >= _ERROR:
        # However often it is asked for.
        headers["x-should-retry"] = "false"
    return Response(told.body, told.status, headers)


def _telling(call: Call, *, plainly: bool) -> Tell:
    def tell(error: LLMBackendError) -> Told:
        response = problems.render(error, call.request_id, plainly=plainly)
        return Told(response.status_code, response.headers["content-type"], bytes(response.body))

    return tell


async def _fingerprint(call: Call) -> bytes:
    """Of what is asked for and for whom, however it is spelled: two that differ are two requests."""
    body = call.raw_body if call.body is None else orjson.dumps(call.body, option=orjson.OPT_SORT_KEYS)
    user = call.caller.end_user if call.caller else None
    for_whom = [user.id] if user else []
    line = orjson.dumps([call.method, call.path, call.scope["query_string"].decode("latin-1"), *for_whom])
    digest = sha256(line + b"\n" + body)
    if call.form is not None:
        # The body has its files' names; what is in them is read in a thread.
        digest.update(await asyncio.to_thread(_of_files, call.form))
    return digest.digest()


def _of_files(form: Form) -> bytes:
    """The digest of all files, each with its name and type; their order counts."""
    digest = sha256()
    for part in form.parts:
        if part.filename is None:
            continue
        digest.update(orjson.dumps([part.name, part.filename, part.content_type, part.size]))
        for offset in range(0, part.size, _READ):
            digest.update(part.at(offset, _READ))
    return digest.digest()
