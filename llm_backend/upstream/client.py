"""HTTP to an upstream: one connection pool for life, nothing followed, nothing decoded, nothing retried."""

import asyncio
import io
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Self

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from llm_backend.errors import UpstreamFailed, UpstreamInvalid, UpstreamUnreachable
from llm_backend.upstream.bodies import BODY_LIMIT, whole
from llm_backend.upstream.forms import Form
from llm_backend.upstream.wire import Outbound

HEADER_LIMIT = 64 * 1024
"""The most header bytes that an answer may have."""

KEEP_ALIVE_SECONDS = 4.0
"""An idle connection is closed by us before uvicorn's and Node's 5 s, so that a request rarely meets a closing one."""

_LARGE = 1024 * 1024
"""Bodies above are written in pieces: aiohttp writes plain bytes in one go, which would hold the loop."""


class HttpTransport:
    """A way to one OpenAI-compatible upstream, `Transport` of `wire`."""

    def __init__(  # noqa: PLR0913 (what a connection is made of; all but the first two have one good value)
        self,
        base_url: str,
        key: str | None,
        *,
        connect_seconds: float = 5.0,
        header_limit: int = HEADER_LIMIT,
        allow_http: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`base_url` as an SDK has it (`https://host/v1`, with or without the last slash).

        `tls`: for an upstream with a certificate of one's own; verification is never off. Raises ValueError where the
        address cannot be used: no http or https, with a user, query or fragment, or http to another machine.
        """
        if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ValueError("An upstream's certificate is always verified.")
        self._base = _checked(base_url, allow_http=allow_http)
        authorization = {} if key is None else {"authorization": f"Bearer {_header_value(key)}"}
        self._ours = {"accept-encoding": "identity", **authorization}
        self._connect_seconds = connect_seconds
        self._header_limit = header_limit
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: Outbound) -> "HttpReply":
        """Ask; the upstream's answer, whatever its status.

        Raises UpstreamUnreachable, `retriable` where surely nothing was sent, `outcome_unknown` where something may
        have been; UpstreamInvalid where what came is no HTTP.
        """
        try:
            response = await self._open_session().request(
                call.method,
                _url(self._base + call.path + ("?" if call.query else "") + call.query),
                data=_body(call.body),
                headers=self._headers(call),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _before_answer(error) from error
        if sum([len(name) + len(value) + 4 for name, value in response.raw_headers]) > self._header_limit:
            response.close()
            raise _no_http("The upstream sent too many headers.")
        return HttpReply(response)

    async def close(self) -> None:
        """Close all connections; a call that comes later opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _headers(self, call: Outbound) -> dict[str, str]:
        """Join the client's, where they were let through; ours wherever there could be two opinions."""
        accept = "text/event-stream" if call.stream else "application/json"
        headers = {"accept": accept, "user-agent": "llm-backend", **call.headers, **self._ours}
        if isinstance(call.body, Form):
            headers |= {"content-type": call.body.content_type, "content-length": str(call.body.length)}
        elif call.body is not None:
            headers["content-type"] = "application/json"
        if call.accept is not None:
            headers["accept"] = call.accept
        return headers

    def _open_session(self) -> aiohttp.ClientSession:
        """Made on first use, because it belongs to the loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # admission bounds the work; a second bound here would only hide a queue
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    ssl=True if self._tls is None else self._tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Every other deadline is the guarded upstream's: the same for each transport.
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_seconds),
                auto_decompress=False,
                trust_env=False,
                max_line_size=self._header_limit,
                max_field_size=self._header_limit,
            )
        return self._session


class HttpReply:
    """An answer whose body is still on the wire, `Reply` of `wire`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        # Kept because aiohttp tells a reset from a clean early end only here, and lets go of it at the end.
        self._protocol = None if response.connection is None else response.connection.protocol
        self._closed = None if self._protocol is None else self._protocol.closed
        if self._closed is not None:
            self._closed.add_done_callback(self._connection_ended)
        self.status = response.status
        self.headers = _joined(response.headers)
        self._until_close = "content-length" not in self.headers and "transfer-encoding" not in self.headers

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        return await whole(self.chunks(), limit)

    def arrived(self) -> bytes | None:
        content = self._response.content
        # One that ends with its connection may have been cut: that is for whoever reads it to find out.
        if self._until_close or not content.is_eof() or content.exception() is not None:
            return None
        return content.read_nowait()

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from error
        if chunk:
            return chunk
        self._forget_connection()
        if self._until_close and self._was_reset:
            raise _broke_off()
        raise StopAsyncIteration

    async def close(self) -> None:
        self._forget_connection()
        self._response.close()  # a connection that was read to its end is back in the pool already and stays there

    def _connection_ended(self, closed: asyncio.Future[None]) -> None:
        """Wake a reader whose answer stopped being HTTP: aiohttp 3.14.5 closes such a connection and tells nobody."""
        _looked_at(closed)
        is_no_http = self._protocol is not None and isinstance(self._protocol.exception(), HttpProcessingError)
        if is_no_http and not self._response.content.is_eof():
            self._response.content.set_exception(aiohttp.ClientPayloadError("no HTTP"))

    def _forget_connection(self) -> None:
        """Let go of a connection that lives on in the pool."""
        if self._closed is not None:
            self._closed.remove_done_callback(self._connection_ended)
            self._closed.remove_done_callback(_looked_at)  # once, however many answers the connection carries
            self._closed.add_done_callback(_looked_at)

    def _broken(self, error: Exception) -> UpstreamFailed:
        if self._was_reset or not isinstance(error, aiohttp.ClientPayloadError):
            return _broke_off()
        return _no_http("The upstream's answer ended too early.")

    @property
    def _was_reset(self) -> bool:
        return self._protocol is not None and isinstance(self._protocol.exception(), OSError)


@lru_cache(maxsize=256)
def _url(address: str) -> URL:
    """Parsed once, where it is asked again and again: what is not are the addresses of single objects."""
    return URL(address, encoded=True)


def _joined(headers: Mapping[str, str]) -> dict[str, str]:
    """All headers the upstream sent, lower case; one that came more than once is joined by commas."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _looked_at(closed: asyncio.Future[None]) -> None:
    """Take a connection's end for known, or asyncio reports it as never retrieved."""
    if not closed.cancelled():
        closed.exception()


def _checked(base_url: str, *, allow_http: bool) -> str:
    """`base_url` without its last slashes. Raises ValueError where it is no address that may be used."""
    url = URL(base_url.strip())
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("An upstream's address begins with https:// or http:// and names a host.")
    if url.user or url.password or url.query_string or url.fragment:
        raise ValueError("An upstream's address has no user, password, query or fragment.")
    if url.scheme == "http" and not allow_http and not _is_loopback(url.host):
        raise ValueError("An upstream on another machine is asked over https, unless plain http is allowed for it.")
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):  # a name, not an address
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _header_value(key: str) -> str:
    """`key` without the line end that files have. Raises ValueError, without the key, where no header can carry it."""
    stripped = key.strip()
    if not stripped or not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("An upstream's key is printable ASCII and not empty.")
    return stripped


def _body(body: bytes | Form | None) -> aiohttp.BytesPayload | io.BytesIO | AsyncIterator[bytes] | None:
    if isinstance(body, Form):
        return body.chunks()
    if body is None:
        return None
    # The payload itself saves aiohttp looking for the kind that it is.
    return io.BytesIO(body) if len(body) >= _LARGE else aiohttp.BytesPayload(body)


def _before_answer(error: aiohttp.ClientError | TimeoutError) -> UpstreamFailed:
    """Translate `error` about a request whose answer has not begun.

    Only a connection that was never made proves that nothing was taken. A connection that came from the pool and is
    closed without a byte of an answer proves nothing: an upstream that died while it worked on the request looks the
    same as one that had just put an idle connection away. Such a request is not sent a second time; that it is rare
    is the work of KEEP_ALIVE_SECONDS. (aiohttp itself repeats a GET once on a pooled connection, never a POST.)
    """
    if isinstance(error, aiohttp.ClientSSLError):
        return _unreachable("The upstream's certificate or TLS is not accepted.", retriable=False)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _unreachable("The upstream cannot be reached.", retriable=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return _no_http("The upstream's answer is not HTTP.")
    return _broke_off()


def _unreachable(message: str, *, retriable: bool) -> UpstreamUnreachable:
    return UpstreamUnreachable(message, retriable=retriable, retry_after_seconds=1)


def _broke_off() -> UpstreamUnreachable:
    message = "The connection to the upstream broke off."
    return UpstreamUnreachable(message, outcome_unknown=True, should_retry=False)


def _no_http(message: str) -> UpstreamInvalid:
    return UpstreamInvalid(message, outcome_unknown=True, should_retry=False)
