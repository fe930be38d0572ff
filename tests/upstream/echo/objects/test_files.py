"""Files, uploads and containers: what was given is what is got, until it is deleted."""

import openai
import pytest

from llm_backend.upstream.forms import Form, Part
from tests.upstream.echo.asking import Asker, Json


async def test_a_file_is_kept_shown_and_deleted(strict: openai.AsyncOpenAI) -> None:
    file = await strict.files.create(file=("a.txt", b"Hello"), purpose="user_data")

    shown = await strict.files.retrieve(file.id)
    content = await strict.files.content(file.id)
    deleted = await strict.files.delete(file.id)

    assert (shown, content.content) == (file, b"Hello")
    assert (file.filename, file.bytes, file.purpose) == ("a.txt", 5, "user_data")
    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        await strict.files.retrieve(file.id)


async def test_a_list_has_pages_an_order_and_a_purpose(strict: openai.AsyncOpenAI) -> None:
    files = [
        await strict.files.create(file=(f"{number}.txt", b"a"), purpose="batch" if number == 1 else "user_data")
        for number in range(5)
    ]

    page = await strict.files.list(limit=2)
    names = [file.filename async for file in strict.files.list(limit=2, order="asc", purpose="user_data")]
    after = await strict.files.list(after=files[1].id)

    assert [file.filename for file in page.data] == ["4.txt", "3.txt"]
    assert page.has_more
    assert names == ["0.txt", "2.txt", "3.txt", "4.txt"]
    assert [file.filename for file in after.data] == ["0.txt"]


async def test_a_file_in_an_upload_is_put_together_in_the_order_that_is_named(strict: openai.AsyncOpenAI) -> None:
    upload = await strict.uploads.create(bytes=10, filename="a.txt", mime_type="text/plain", purpose="user_data")
    last = await strict.uploads.parts.create(upload.id, data=b"world")
    first = await strict.uploads.parts.create(upload.id, data=b"Hello")

    done = await strict.uploads.complete(upload.id, part_ids=[first.id, last.id])

    assert (done.status, upload.status) == ("completed", "pending")
    assert done.file is not None
    assert (await strict.files.content(done.file.id)).content == b"Helloworld"


async def test_an_upload_ends_once(strict: openai.AsyncOpenAI) -> None:
    upload = await strict.uploads.create(bytes=1, filename="a.txt", mime_type="text/plain", purpose="user_data")

    with pytest.raises(openai.BadRequestError, match="as many bytes"):
        await strict.uploads.complete(upload.id, part_ids=[])
    assert (await strict.uploads.cancel(upload.id)).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="not pending"):
        await strict.uploads.parts.create(upload.id, data=b"a")


async def test_a_container_has_files_of_its_own_and_copies(strict: openai.AsyncOpenAI) -> None:
    file = await strict.files.create(file=("a.txt", b"Hello"), purpose="user_data")
    container = await strict.containers.create(name="mine", file_ids=[file.id])
    own = await strict.containers.files.create(container.id, file=("b.txt", b"world"))
    await strict.containers.files.create(container.id, file_id=file.id)

    content = await strict.containers.files.content.retrieve(own.id, container_id=container.id)
    listed = [found.path async for found in strict.containers.files.list(container.id, order="asc")]
    await strict.containers.delete(container.id)

    assert content.content == b"world"
    assert listed == ["/mnt/data/a.txt", "/mnt/data/b.txt", "/mnt/data/a.txt"]
    with pytest.raises(openai.NotFoundError):
        await strict.containers.files.list(container.id)


async def test_the_oldest_are_forgotten_and_what_is_too_large_is_refused(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_backend.upstream.echo.objects.store.MOST_OBJECTS", 2)
    names = [(await ask.post("/containers", {"name": name})).json["id"] for name in "abc"]
    monkeypatch.setattr("llm_backend.upstream.echo.objects.store.MOST_BYTES", 2000)
    large = Form((Part("file", b"x" * 3000, 3000, "a"), Part.text("purpose", "batch")))

    refused = await ask.post("/files", large)

    assert [(await ask.get(f"/containers/{name}")).status for name in names] == [404, 200, 200]
    assert refused.status == 413


@pytest.mark.parametrize("query", ["limit=0", "limit=a", "limit=101", "after=nobody", "before=nobody"])
async def test_a_page_that_cannot_be_is_refused(ask: Asker, query: str) -> None:
    answer = await ask.get("/containers", query)

    assert (answer.status, answer.error["param"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/files", {}, 400),
        ("/containers", {"name": "a", "file_ids": ["file-1"]}, 404),
        ("/containers", {"name": "a", "file_ids": "file-1"}, 400),
        ("/containers/cntr_1/files", {"file_id": "file-1"}, 404),
        ("/uploads/upload_1/parts", {}, 404),
        ("/containers//files", {}, 404),
    ],
)
async def test_what_is_missing_is_said(ask: Asker, path: str, request_: Json, status: int) -> None:
    assert (await ask.post(path, request_)).status == status


async def test_a_directive_in_a_name_strikes_before_anything_is_kept(ask: Asker) -> None:
    form = Form((Part("file", b"a", 1, "[[fault 503 times=1]] a.txt"), Part.text("purpose", "batch")))

    statuses = [(await ask.post("/files", form)).status for _ in range(2)]

    assert statuses == [503, 200]
    assert len((await ask.get("/files")).json["data"]) == 1
