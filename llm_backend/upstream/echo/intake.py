"""What a client sends to the echo model over HTTP: bytes, or a form whose files lie in a temporary one."""

from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import IO, Final

from aiohttp import BodyPartReader, web

from llm_backend.upstream.echo.script import Refusal
from llm_backend.upstream.forms import PIECE, Form, Held, Part, Stretch

MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_TEXT_BYTES: Final = 1024 * 1024
_MOST_PARTS: Final = 1_000


async def body_of(request: web.BaseRequest) -> bytes | Form:
    """The whole body; a form is closed by whoever takes it. Raises Refusal where it is too large or broken."""
    if request.content_type == "multipart/form-data":
        return await _form(request)
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise _too_large()
    return bytes(body)


async def _form(request: web.BaseRequest) -> Form:
    file = TemporaryFile()  # noqa: SIM115 (the form closes it)
    try:
        return Form(tuple([part async for part in _parts(request, file)]), Held(file))
    except BaseException:
        file.close()
        raise


async def _parts(request: web.BaseRequest, file: IO[bytes]) -> AsyncIterator[Part]:
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if not isinstance(part, BodyPartReader) or part.name is None or count > _MOST_PARTS:
                raise Refusal("The body is no form.", code="invalid_form")
            yield await (_text(part, part.name) if part.filename is None else _file(part, part.name, file))
    except ValueError:
        raise Refusal("The body is no form.", code="invalid_form") from None


async def _text(part: BodyPartReader, name: str) -> Part:
    data = bytearray()
    while piece := await part.read_chunk(PIECE):
        data += piece
        if len(data) > _MOST_TEXT_BYTES:
            raise _too_large()
    return Part(name, bytes(data), len(data))


async def _file(part: BodyPartReader, name: str, file: IO[bytes]) -> Part:
    """Written behind what the temporary file has already."""
    start = file.tell()
    while piece := await part.read_chunk(PIECE):
        file.write(piece)
        if file.tell() > MOST_BYTES:
            raise _too_large()
    file.flush()
    size = file.tell() - start
    return Part(name, Stretch(file, start, size), size, part.filename, part.headers.get("content-type"))


def _too_large() -> Refusal:
    return Refusal("The body is too large.", status=413, code="request_too_large")
