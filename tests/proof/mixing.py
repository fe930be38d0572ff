"""Everything that clients ask of a server in a day, good and bad, one kind after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from urllib.parse import urlsplit

import aiohttp

from llm_backend.domain.key_text import make_key
from llm_backend.errors import Json

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
FILES, TRANSCRIPTS = "/v1/files", "/v1/audio/transcriptions"
AT_ONCE = 16
SPOOLED = bytes(1_200_000)
"""A file that the server keeps on its disk while it has it."""
REACHING = {200, 404}
"""What is answered to whom the upstream was asked for: it knows which models there are."""
LONG = "[[words 500]] [[delay between=0.01]] word"
"""Asks the echo model for more than anyone listens to."""

Kind = Callable[["Mix", int], Awaitable[None]]


class Mix:
    """Asks one server, with a number in whatever it may remember: no two are named the same."""

    def __init__(self, root: str, headers: Mapping[str, str]) -> None:
        self.asked = 0
        """Requests so far."""
        self.recorded = 0
        """How many of them must have a record."""
        self._root = root
        self._headers = headers
        self._turns = 0
        self._client: aiohttp.ClientSession

    async def ask(self, most: int) -> None:
        """Go on until `most` are asked, sixteen at once on kept connections; none of these is open in the end."""
        async with aiohttp.ClientSession(self._root) as self._client, asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work(most))

    async def _work(self, most: int) -> None:
        while self.asked < most:
            turn, self._turns = self._turns, self._turns + 1
            await KINDS[turn % len(KINDS)](self, turn)

    async def asks(self, status: int, method: str, path: str, *, key: str | None = None, **body: Json) -> bytes:
        """What is answered, which has to have this status. `body`: aiohttp's `json` or `data`."""
        self.asked += 1
        headers = self._headers if key is None else {"authorization": f"Bearer {key}"}
        async with self._client.request(method, path, headers=headers, **body) as answer:
            content = await answer.read()
        assert answer.status == status, (method, path, content[:300])
        self.recorded += method == "POST" and path != FILES and status in REACHING
        return content

    async def leaves(self, path: str, body: Json) -> None:
        """Ask for a stream and go when its first piece is there."""
        self.asked += 1
        async with self._client.post(path, headers=self._headers, json=body) as answer:
            assert answer.status == 200
            assert await answer.content.readany()
            answer.close()
        self.recorded += 1

    async def breaks_off(self, path: str, content_type: str, body: bytes) -> None:
        """Send a body without its end, and go."""
        self.asked += 1
        where = urlsplit(self._root)
        lines = {"host": where.netloc, "content-type": content_type, "content-length": str(2 * len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in {**self._headers, **lines}.items())
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def _chat(number: int, **more: Json) -> Json:
    messages = [{"role": "user", "content": f"Hello number {number}, how are you?"}]
    return {"model": "echo", "messages": messages, "user": f"user {number}"} | more


def _response(number: int, **more: Json) -> Json:
    return {"model": "echo", "input": f"Hello number {number}"} | more


def _form(file: bytes, name: str, **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData(fields)
    form.add_field("file", BytesIO(file), filename=name, content_type="application/octet-stream")
    return form


def _json(status: int, path: str, body: Callable[[int], Json]) -> Kind:
    async def kind(mix: Mix, number: int) -> None:
        await mix.asks(status, "POST", path, json=body(number))

    return kind


def _streamed(path: str, body: Callable[[int], Json], end: bytes) -> Kind:
    async def kind(mix: Mix, number: int) -> None:
        assert end in (await mix.asks(200, "POST", path, json=body(number)))[-4096:]

    return kind


async def _chat_left(mix: Mix, number: int) -> None:
    body = _chat(number, stream=True, messages=[{"role": "user", "content": LONG}])
    await mix.leaves(CHAT, body)


async def _response_left(mix: Mix, number: int) -> None:
    await mix.leaves(RESPONSES, _response(number, stream=True, input=LONG))


async def _wrong_keys(mix: Mix, number: int) -> None:
    for key in (make_key(), f"sk-of-another-system-{number}"):
        await mix.asks(401, "POST", CHAT, key=key, json=_chat(number))


async def _unknown_path(mix: Mix, number: int) -> None:
    await mix.asks(404, "GET", f"/v1/unknown/{number}")


async def _models(mix: Mix, number: int) -> None:
    await mix.asks(200, "GET", "/v1/models")
    await mix.asks(404, "GET", f"/v1/models/none-{number}")


async def _transcription(mix: Mix, number: int) -> None:
    form = _form(SPOOLED, f"{number}.mp3", model="echo-transcribe")
    await mix.asks(200, "POST", TRANSCRIPTS, data=form)


async def _transcription_refused(mix: Mix, number: int) -> None:
    form = _form(SPOOLED, f"{number}.mp3", model="echo-transcribe", temperature="hot")
    await mix.asks(400, "POST", TRANSCRIPTS, data=form)


async def _transcription_broken_off(mix: Mix, number: int) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{number}.mp3"\r\n\r\n'
    await mix.breaks_off(TRANSCRIPTS, "multipart/form-data; boundary=b", head.encode() + SPOOLED)


async def _file(mix: Mix, number: int) -> None:
    form = _form(b"text" * 1000, f"{number}.txt", purpose="assistants")
    made = await mix.asks(200, "POST", FILES, data=form)
    file_id = made.split(b'"id":"', 1)[1].split(b'"', 1)[0].decode()
    assert file_id in (await mix.asks(200, "GET", FILES)).decode()
    await mix.asks(200, "DELETE", f"{FILES}/{file_id}")
    await mix.asks(404, "GET", f"{FILES}/{file_id}")


KINDS: tuple[Kind, ...] = (
    _json(200, CHAT, _chat),
    _streamed(CHAT, lambda number: _chat(number, stream=True), b"[DONE]"),
    _chat_left,
    _json(200, "/v1/embeddings", lambda number: {"model": "echo", "input": [f"text {number}"] * 8}),
    _models,
    _json(400, CHAT, lambda number: _chat(number, temperature="hot")),
    _json(404, CHAT, lambda number: _chat(number, model=f"none-{number}")),
    _wrong_keys,
    _unknown_path,
    _json(200, "/v1/images/generations", lambda number: {"prompt": f"picture {number}", "size": "64x64"}),
    _json(200, "/v1/audio/speech", lambda number: {"model": "echo", "voice": "alloy", "input": f"said {number}"}),
    _transcription,
    _transcription_refused,
    _transcription_broken_off,
    _json(200, "/v1/moderations", lambda number: {"input": f"text {number}"}),
    _file,
    _json(200, RESPONSES, _response),
    _streamed(RESPONSES, lambda number: _response(number, stream=True), b"response.completed"),
    _response_left,
)
