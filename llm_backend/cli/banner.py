"""What `llm-backend dev` says before it serves: where, with which key, and a curl line that can be pasted."""

import asyncio
import json
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_backend.errors import LLMBackendError, UpstreamAuthFailed, UpstreamRejected
from llm_backend.model_ids import seems_to_chat

if TYPE_CHECKING:
    from llm_backend.settings import Settings

ASK_SECONDS = 2.0
"""How long the upstream may take to list its models: the server's start waits for it."""

UNKNOWN_MODEL = "gpt-4"
"""Stands in the curl line where nothing tells of a model."""


def banner(settings: "Settings", key: str | None) -> str:
    """The lines to print; `key` is None where none is asked for. Asks the upstream where nothing else names a model."""
    url = f"http://{written(settings.host)}:{settings.port}"
    return "\n".join(_lines(settings, key, url)) + "\n"


def written(host: str) -> str:
    """`host` as a URL has it."""
    return f"[{host}]" if ":" in host else host


def _lines(settings: "Settings", key: str | None, url: str) -> Iterator[str]:
    yield f"Base URL     {url}/v1"
    yield f"API key      {key or 'none is needed (AUTH=open)'}"
    for token in settings.admin_tokens:
        yield f"Admin token  {token.get_secret_value()}"
    for upstream in settings.every_upstream:
        yield f"Upstream     {upstream.url or 'echo, built in'}"
    if settings.docs:
        yield f"As a page    {url}/docs"
    body = json.dumps({"model": _model(settings), "messages": [{"role": "user", "content": "Hello there"}]})
    authorization = f"-H 'Authorization: Bearer {key}' " if key else ""
    content = f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
    yield f"\ncurl {url}/v1/chat/completions {authorization}{content}"


def _model(settings: "Settings") -> str:
    """One that surely may be called: with models configured there are no others."""
    named = (name for name in settings.models if not name.endswith("*"))
    configured = (settings.default_model, *named, *settings.aliases)
    known = next(filter(None, configured), "echo" if settings.upstream.url is None else None)
    return known or asyncio.run(_listed(settings)) or UNKNOWN_MODEL


async def _listed(settings: "Settings") -> str | None:
    """The first model of the upstream's list that chats; None, and a warning, where it says none in time."""
    from llm_backend.upstream.circuit import Circuit  # noqa: PLC0415 (the other commands need not wait for it)
    from llm_backend.upstream.client import HttpTransport  # noqa: PLC0415 (as above)
    from llm_backend.upstream.deadlines import Timeouts  # noqa: PLC0415 (as above)
    from llm_backend.upstream.listing import Listing  # noqa: PLC0415 (as above)
    from llm_backend.upstream.upstream import Upstream  # noqa: PLC0415 (as above)

    who = settings.upstream
    key = who.key.get_secret_value() if who.key else None
    transport = HttpTransport(str(who.url), key, connect_seconds=ASK_SECONDS, allow_http=who.allow_http)
    clock = asyncio.get_running_loop().time
    upstream = Upstream(who.name, transport, timeouts=Timeouts(), circuit=Circuit(clock), secrets=(key,) if key else ())
    try:
        models = await Listing(upstream, clock, ASK_SECONDS).current()
    except LLMBackendError as error:
        sys.stderr.write(f"warning: {_trouble(error)}\n")
        return None
    finally:
        await upstream.close()
    if not models:
        sys.stderr.write("warning: the upstream lists no models (does the address need /v1?)\n")
    return next(filter(seems_to_chat, models), None)


def _trouble(error: LLMBackendError) -> str:
    """Why there is no list; where the upstream refuses, it is there, and so its address is right."""
    if isinstance(error, (UpstreamAuthFailed, UpstreamRejected)):
        return f"the upstream does not list its models: {error}"
    return "the upstream does not answer (does the address need /v1?)"
