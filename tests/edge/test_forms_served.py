"""Forms on their way through the whole server: in from a client, out to an upstream."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from llm_backend.edge.forms import FILES_IN_MEMORY
from llm_backend.upstream.forms import Form, Part
from tests.edge.form_files import temporary_files
from tests.faulty import FaultyUpstream, Hang, error
from tests.serving import Running, serving
from tests.upstream.form_reading import read

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOUND = bytes(range(256)) * (FILES_IN_MEMORY // 128)
SAID = {"text": "Hello", "usage": {"type": "duration", "seconds": 1}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, FaultyUpstream]]:
    folder = tmp_path_factory.mktemp("forms")
    shutil.copy(migrated_file, folder / "forms.db")
    models = "[models.ears]\nupstream_model = 'whisper-9'\n"
    async with FaultyUpstream() as upstream:
        url, key = upstream.base_url, "sk-upstream-canary-0123456789abcdef"
        database = f"sqlite:///{folder / 'forms.db'}"
        async with serving(database, folder, toml=models, OPENAI_BASE_URL=url, OPENAI_API_KEY=key) as running:
            yield running, upstream


@pytest.fixture
def server(one: tuple[Running, FaultyUpstream]) -> Running:
    return one[0]


@pytest.fixture
def asked(one: tuple[Running, FaultyUpstream]) -> FaultyUpstream:
    one[1].forget()
    return one[1]


def form(sound: bytes = SOUND, *fields: tuple[str, str]) -> Form:
    texts = [Part.text(*field) for field in (("model", "ears"), *fields)]
    return Form((Part("file", sound, len(sound), "räum.wav", "audio/wav"), *texts))


async def transcribed(server: Running, sent: Form, **headers: str) -> httpx.Response:
    headers = {**server.headers, "content-type": sent.content_type, "content-length": str(sent.length), **headers}
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"{server.base_url}/audio/transcriptions", content=sent.chunks(), headers=headers)


async def test_a_form_reaches_the_upstream_whole_under_its_own_name_for_the_model(
    server: Running, asked: FaultyUpstream
) -> None:
    asked.answers(SAID)

    answer = await transcribed(
        server, form(SOUND, ("temperature", "0.5"), ("timestamp_granularities[]", "word"), ("later", "x"))
    )

    assert answer.json()["text"] == "Hello"
    received = asked.requests[0]
    assert received.path == "/v1/audio/transcriptions"
    assert received.headers["content-length"] == str(len(received.body))
    assert sorted(read(received.headers["content-type"], received.body)) == [
        ("file", "räum.wav", "audio/wav", SOUND),
        ("later", None, "text/plain", b"x"),
        ("model", None, "text/plain", b"whisper-9"),
        ("temperature", None, "text/plain", b"0.5"),
        ("timestamp_granularities[]", None, "text/plain", b"word"),
    ]


async def test_a_form_is_sent_again_where_a_request_is(server: Running, asked: FaultyUpstream) -> None:
    asked.answers(error("Not now."), status=503)
    asked.answers(SAID)

    answer = await transcribed(server, form())

    assert answer.status_code == 200
    assert len(asked.requests) == 2
    for received in asked.requests:
        assert (read(received.headers["content-type"], received.body))[1][3] == SOUND


async def test_one_that_is_refused_never_reaches_the_upstream(server: Running, asked: FaultyUpstream) -> None:
    answer = await transcribed(server, form(SOUND, ("temperature", "warm")))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")
    assert not asked.requests


async def test_an_idempotency_key_covers_what_is_in_the_files(server: Running, asked: FaultyUpstream) -> None:
    asked.answers(SAID)
    key = {"idempotency-key": "a-form"}

    first = await transcribed(server, form(), **key)
    again = await transcribed(server, form(), **key)
    other = await transcribed(server, form(SOUND[:-1] + b"x"), **key)

    assert (first.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(asked.requests) == 1


async def test_who_is_not_known_is_told_so_before_the_form_is_read(server: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: here\r\nContent-Length: 20000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
    )

    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()


async def test_a_file_lives_as_long_as_it_is_sent_and_no_longer(server: Running, asked: FaultyUpstream) -> None:
    before = temporary_files()
    asked.raw(Hang)
    leaving = asyncio.create_task(transcribed(server, form()))
    received = await asked.received()
    assert temporary_files() - before

    leaving.cancel()
    await received.gone.wait()
    await server.quiet()

    assert temporary_files() <= before
