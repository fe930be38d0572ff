import json
from collections.abc import Callable, Iterator
from errno import ENOSPC
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message
from structlog.testing import capture_logs

from llm_backend.edge.forms import FILES_IN_MEMORY, PARTS, Upload
from llm_backend.edge.guard import Patience
from llm_backend.edge.intake import Departed, Intake
from llm_backend.edge.server import Server
from llm_backend.edge.serving import Serving
from llm_backend.errors import InvalidForm, Unavailable
from llm_backend.upstream.forms import Form, Part, Stretch
from tests.edge.form_app import FORM_LIMIT, PATHS, FormApp
from tests.edge.form_files import temporary_files
from tests.edge.malformed_forms import BOUNDARY, GOOD, MALFORMED, TYPE, Malformed, field, form
from tests.edge.wire import Wire, running, wire

LARGE = FILES_IN_MEMORY + 1
SOUND = bytes(range(256)) * 3_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FormApp:
    return FormApp(tmp_path_factory.mktemp("forms") / "spec", patience=Patience(linger_seconds=0.2))


@pytest.fixture(scope="module")
def served(app: FormApp) -> Iterator[Server]:
    with running(app, Serving(port=0)) as server:
        yield server


@pytest.fixture
def client(served: Server) -> Iterator[Wire]:
    with wire(served.port) as client:
        yield client


def head(path: str, length: int, content_type: str | None = TYPE) -> bytes:
    lines = [f"POST /v1{path} HTTP/1.1", "Host: here", f"Content-Length: {length}"]
    lines += [] if content_type is None else [f"Content-Type: {content_type}"]
    return "\r\n".join([*lines, "", ""]).encode()


def asked(client: Wire, path: str, body: bytes, content_type: str = TYPE) -> Any:
    client.send(head(path, len(body), content_type) + body)
    answer = client.answer()
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_form_is_refused_by_name_and_the_server_lives_on(
    served: Server, client: Wire, malformed: Malformed
) -> None:
    length = len(malformed.body) if malformed.length is None else malformed.length
    client.send(head(PATHS["createThing"], length, malformed.content_type) + malformed.body)

    answer = client.answer()

    error = answer.error()
    assert (answer.status, error["code"], error["param"]) == (malformed.status, malformed.code, malformed.param)
    assert error["type"] == "invalid_request_error"
    with wire(served.port) as another:
        assert asked(another, PATHS["createThing"], GOOD)["body"] == {"file": "a.wav", "model": "x"}


def test_a_form_too_long_for_its_operation_is_refused_while_it_arrives(client: Wire) -> None:
    client.send(head(PATHS["createThing"], 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
    client.send(b"%x\r\n" % (2 * FORM_LIMIT) + GOOD[: GOOD.index(b"RIFF")])
    for _ in range(FORM_LIMIT // 2**20):
        client.send(bytes(2**20))

    assert client.answer().error()["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", PATHS["createPlain"], 415, "unsupported_media_type"),
        ("PUT", PATHS["createThing"], 405, "method_not_allowed"),
        ("POST", "/unheard-of", 404, "not_found"),
    ],
)
def test_a_form_that_nobody_declares_is_not_read(client: Wire, method: str, path: str, status: int, code: str) -> None:
    client.send(head(path, len(GOOD)).replace(b"POST", method.encode()) + GOOD)

    answer = client.answer()

    assert (answer.status, answer.error()["code"]) == (status, code)


def test_an_operation_may_take_both_each_with_its_limit(client: Wire) -> None:
    by_form = asked(client, PATHS["createEither"], form(field("prompt", b"x" * 5_000)))
    by_json = asked(client, PATHS["createEither"], b'{"prompt": "hi"}', "application/json")
    client.send(head(PATHS["createEither"], 5_000, "application/json") + b" " * 5_000)

    assert by_form["body"] == {"prompt": "x" * 5_000}
    assert by_json == {"body": {"prompt": "hi"}, "parts": []}
    assert client.answer().status == 413


def test_the_fields_of_a_form_are_typed_and_its_files_whole(client: Wire) -> None:
    body = form(
        field("file", SOUND, "Content-Type: audio/wav; codecs=1", also='; filename="räum\\"e%22.wav"'),
        field("model"),
        field("temperature", b"0.5"),
        field("include[]", b"word"),
        field("options[type]", b"vad"),
        field("mask", b"", also="; filename*=UTF-8''m%C3%A4sk.png"),
    )

    told = asked(client, PATHS["createThing"], body)

    assert told["body"] == {
        "file": 'räum"e%22.wav',
        "model": "x",
        "temperature": 0.5,
        "include": ["word"],
        "options": {"type": "vad"},
        "mask": "mäsk.png",
    }
    digest = sha256(SOUND).hexdigest()
    assert told["parts"][0] == ["file", 'räum"e%22.wav', "audio/wav; codecs=1", len(SOUND), digest]


def test_the_model_of_an_azure_deployment_takes_the_place_of_the_forms(client: Wire) -> None:
    client.send(head("", len(GOOD)).replace(b"/v1", b"/openai/deployments/theirs/things") + GOOD)

    answer = json.loads(client.answer().body)

    assert answer["body"] == {"file": "a.wav", "model": "theirs"}
    assert [(name, size) for name, _, _, size, _ in answer["parts"]] == [("model", 6), ("file", 4)]


def test_what_is_not_served_waits_for_no_form(client: Wire) -> None:
    client.send(head(PATHS["createNothing"], FORM_LIMIT))

    assert client.answer().status == 501


@pytest.mark.parametrize(("fields", "status"), [((), 200), ((field("n", b"many"),), 400)])
def test_a_file_is_closed_when_its_request_ends(client: Wire, fields: tuple[bytes, ...], status: int) -> None:
    before = temporary_files()
    body = form(field("file", bytes(LARGE), also='; filename="a"'), field("model"), *fields)

    client.send(head(PATHS["createThing"], len(body)) + body)
    assert client.answer().status == status
    asked(client, PATHS["createThing"], GOOD)

    assert temporary_files() <= before


COMPLETE = form(field("file", bytes(2**20), also='; filename="a"'))


@pytest.mark.parametrize(
    ("upload", "error"),
    [
        (lambda: of([COMPLETE[:-20]], leaves=True), Departed),
        (lambda: of([COMPLETE[:-20]]), InvalidForm),
        (lambda: of([COMPLETE, bytes(2**20)]), InvalidForm),
    ],
)
async def test_a_file_is_closed_when_its_form_ends_badly(upload: Callable[[], Upload], error: type[Exception]) -> None:
    before = temporary_files()

    with pytest.raises(error):
        await upload().read()

    assert temporary_files() <= before


async def test_parts_are_counted_however_their_boundaries_arrive() -> None:
    body = form(*[field(f"f{n}") for n in range(PARTS + 1)])

    with pytest.raises(InvalidForm, match=f"at most {PARTS} parts"):
        await of([body[at : at + 1] for at in range(len(body))]).read()


async def test_a_disk_without_room_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)

    with capture_logs() as logged, pytest.raises(Unavailable, match="no room"):
        await of([form(field("file", bytes(LARGE), also='; filename="a"'))]).read()

    assert [line["event"] for line in logged] == ["form_not_stored"]


CONTENT = st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([0, 1, 5, LARGE // 20]), st.booleans())
"""What is repeated, how often, and whether it is a file."""


@settings(max_examples=60, deadline=None)
@given(contents=st.lists(CONTENT, max_size=5), size=st.sampled_from([1, 7, 4096, 65_536, 10**7]))
async def test_a_form_is_the_same_however_its_bytes_arrive(contents: list[tuple[bytes, int, bool]], size: int) -> None:
    parts = [
        Part(f"f{n}", content * times, len(content) * times, f"{n}.bin", "image/png")
        if is_file
        else Part.text(f"t{n}", content.hex() * (times % 100))
        for n, (content, times, is_file) in enumerate(contents)
    ]
    sent = Form(tuple(parts))
    body = b"".join([piece async for piece in sent.chunks()])
    size = max(size, len(body) // 500)
    upload = of([body[start : start + size] for start in range(0, len(body), size)])
    boundary = sent.content_type.partition("boundary=")[2].encode()

    read = await Upload(upload.intake, boundary, len(body), None).read()

    try:
        found = [(part.name, part.filename, part.content_type, part.beginning(part.size)) for part in read.parts]
        assert found == [(part.name, part.filename, part.content_type, part.data) for part in parts]
        in_memory = sum(part.size for part in read.parts if part.filename and not isinstance(part.data, Stretch))
        assert in_memory <= FILES_IN_MEMORY
    finally:
        read.close()


def of(pieces: list[bytes], *, leaves: bool = False) -> Upload:
    """An upload that arrives in these pieces, and whose client `leaves` before it ends."""
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "more_body": False})
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return Upload(Intake(receive, 30), BOUNDARY.encode(), FORM_LIMIT, None)
