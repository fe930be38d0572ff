import tempfile
from collections.abc import Iterator
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_backend.upstream.forms import PIECE, Form, Held, Part, Stretch
from llm_backend.upstream.wire import Outbound
from tests.upstream.asking import connected
from tests.upstream.form_reading import read
from tests.upstream.raw import answer, raw_upstream

SOUND = bytes(range(251)) * (5 * PIECE // 251 + 1)


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(b"before" + SOUND + b"after")
        file.flush()
        yield file


async def written(form: Form) -> bytes:
    pieces = [piece async for piece in form.chunks()]
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


async def test_a_form_is_written_with_its_length_as_often_as_it_is_read(file: IO[bytes]) -> None:
    sound = Part("file", Stretch(file, 6, len(SOUND)), len(SOUND), "speech.wav", "audio/wav")
    form = Form((Part.text("model", "whisper-1"), sound, Part.text("prompt", "Grüße\r\n--x")))

    body = await written(form)

    assert len(body) == form.length
    assert await written(form) == body
    assert read(form.content_type, body) == [
        ("model", None, "text/plain", b"whisper-1"),
        ("file", "speech.wav", "audio/wav", SOUND),
        ("prompt", None, "text/plain", "Grüße\r\n--x".encode()),
    ]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.text(st.characters(codec="latin-1", exclude_categories=["C"])))
async def test_whatever_is_in_a_file_arrives(content: bytes, name: str) -> None:
    form = Form((Part("file", content, len(content), "a.bin", "application/octet-stream"), Part.text("n", name)))

    found = read(form.content_type, await written(form))

    assert found[0][3] == content
    assert found[1][3] == name.encode()


async def test_names_cannot_leave_their_quotes() -> None:
    form = Form((Part('a"; filename="x\r\nset-cookie: y', b"", 0, 'dé"\r\n\r\n.png', "image/png"),))

    body = await written(form)

    name, filename = 'name="a%22; filename=%22x%0D%0Aset-cookie: y"', 'filename="dé%22%0D%0A%0D%0A.png"'
    assert body.split(b"\r\n")[1] == f"content-disposition: form-data; {name}; {filename}".encode()


async def test_fields_are_replaced_wherever_they_stood_and_left_out() -> None:
    form = Form(
        (Part.text("model", "ours"), Part("file", b"x", 1, "a"), Part.text("model", "again"), Part.text("n", "1"))
    )

    found = read((other := form.replaced(model="theirs", n=None)).content_type, await written(other))

    assert [(name, data) for name, _, _, data in found] == [("model", b"theirs"), ("file", b"x")]
    assert len(form.parts) == 4


def test_the_file_is_closed_when_the_last_one_lets_go(file: IO[bytes]) -> None:
    form = Form((Part("file", Stretch(file, 6, 3), 3, "a"),), Held(file))
    sent = form.kept().replaced(model="m")

    form.close()
    assert sent.parts[1].beginning(2) == SOUND[:2]
    sent.close()

    assert file.closed
    with pytest.raises(AssertionError):
        form.kept()


async def test_a_form_arrives_upstream_with_its_length_and_the_query(file: IO[bytes]) -> None:
    form = Form((Part("file", Stretch(file, 6, len(SOUND)), len(SOUND), "a.wav", "audio/wav"),))
    call = Outbound("POST", "/x%2Fy", form, query="a=%2F&b", accept="*/*", headers={"accept": "text/html"})
    async with raw_upstream(answer(b"{}")) as upstream, connected(upstream) as transport:
        await (await transport.send(call)).read()
        await (await transport.send(call)).read()

    head = upstream.heads[0].lower()
    assert head.startswith("post /v1/x%2fy?a=%2f&b http/1.1\r\n")
    assert f"content-type: {form.content_type}\r\n" in head
    assert "accept: */*\r\n" in head
    assert "transfer-encoding" not in head
    assert upstream.bodies[0] == upstream.bodies[1] == await written(form)
