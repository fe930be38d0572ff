"""curl, as people paste it: what it prints, and what the server makes of its habits."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from dataclasses import dataclass

import pytest

from tests.serving import Running

CURL = shutil.which("curl")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CURL is None and os.environ.get("CI") != "true", reason="curl is not installed"),
]

BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]})
STREAMED = json.dumps(json.loads(BODY) | {"stream": True})


@dataclass(frozen=True)
class Printed:
    status: int
    head: str
    """The status lines and headers, of a `100 Continue` too."""
    body: str

    @property
    def error(self) -> dict[str, object]:
        error: dict[str, object] = json.loads(self.body)["error"]
        return error


async def curl(running: Running, path: str, *words: str, key: str | None = None, stdin: bytes = b"") -> Printed:
    """What curl prints for `path` with these further `words`."""
    assert CURL, "CI needs curl."
    head = "%{stderr}%{http_code}"
    authorization = f"Authorization: Bearer {running.key if key is None else key}"
    given = ("-sS", "-D", "-", "-w", head, "-H", authorization, *words, running.root + path)
    process = await asyncio.create_subprocess_exec(CURL, "-q", *given, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    out, status = await process.communicate(stdin)
    assert process.returncode == 0, status
    lines, _, body = out.decode().rpartition("\r\n\r\n")
    return Printed(int(status), lines.lower(), body)


def posted(body: str) -> tuple[str, ...]:
    return ("-H", "Content-Type: application/json", "-d", body)


async def test_a_chat_is_printed_whole_and_recorded(platform: Running) -> None:
    printed = await curl(platform, "/v1/chat/completions", *posted(BODY))

    assert json.loads(printed.body)["choices"][0]["message"]["content"] == "Hello there"
    assert "\r\ncontent-type: application/json\r\n" in f"{printed.head}\r\n"
    (record,) = await platform.records()
    assert record.status == "completed"


async def test_a_stream_is_printed_event_by_event(platform: Running) -> None:
    printed = await curl(platform, "/v1/chat/completions", "-N", *posted(STREAMED))

    events = printed.body.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    said = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events[:-2]]
    assert "".join(delta.get("content", "") for delta in said) == "Hello there"
    (record,) = await platform.records()
    assert (record.stream, record.basis) == (True, "reported")


@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_a_client_of_http_1_0_gets_its_answer_to_the_end(platform: Running, body: str) -> None:
    printed = await curl(platform, "/v1/chat/completions", "--http1.0", *posted(body))

    assert printed.status == 200
    assert "transfer-encoding" not in printed.head
    assert "there" in printed.body
    (record,) = await platform.records()
    assert record.status == "completed"


async def test_a_large_body_is_sent_after_the_server_has_said_to_go_on(platform: Running) -> None:
    content = "word " * 400_000
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": f"[[words 2]] {content}"}]})
    words = ("-H", "Content-Type: application/json", "-H", "Expect: 100-continue", "--data-binary", "@-")

    printed = await curl(platform, "/v1/chat/completions", *words, stdin=body.encode())

    assert printed.head.startswith("http/1.1 100 continue")
    assert json.loads(printed.body)["choices"][0]["message"]["content"] == "word word"


async def test_a_body_that_would_be_refused_is_refused_before_it_is_sent(platform: Running) -> None:
    words = ("-H", "Content-Type: application/json", "-H", "Expect: 100-continue", "--data-binary", "@-")

    printed = await curl(platform, "/v1/chat/completions", *words, stdin=b"x" * (33 * 1024 * 1024))

    assert printed.status == 413
    assert "100 continue" not in printed.head
    assert printed.error["code"] == "request_too_large"


async def test_a_chunked_body_is_read(platform: Running) -> None:
    words = ("-H", "Content-Type: application/json", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-")

    printed = await curl(platform, "/v1/chat/completions", *words, stdin=BODY.encode())

    assert printed.status == 200


@pytest.mark.parametrize(
    ("path", "words", "status", "code"),
    [
        ("/v1/chat/completions", posted("{"), 400, "invalid_json"),
        ("/v1/chat/completions", posted("{}"), 400, "missing_required_parameter"),
        ("/v1/chat/completions", ("-d", BODY), 415, "unsupported_media_type"),
        ("/v1/chat/completions", ("-X", "PUT"), 405, "method_not_allowed"),
        ("/v1/v1/models", (), 404, "not_found"),
        ("/nothing", (), 404, "not_found"),
        ("/v1/models/nothing", (), 404, "model_not_found"),
        ("/v1/models/echo", ("-X", "DELETE"), 501, "not_served"),
    ],
)
async def test_every_refusal_is_an_envelope(
    platform: Running, path: str, words: tuple[str, ...], status: int, code: str
) -> None:
    printed = await curl(platform, path, *words)

    assert (printed.status, printed.error["code"]) == (status, code)
    assert set(printed.error) == {"message", "type", "param", "code"}
    assert "\r\ncontent-type: application/json\r\n" in f"{printed.head}\r\n"


async def test_without_a_key_nothing_is_answered_but_why(platform: Running) -> None:
    printed = await curl(platform, "/v1/models", key="wrong")

    assert (printed.status, printed.error["code"]) == (401, "invalid_api_key")
    assert "www-authenticate: bearer" in printed.head


async def test_a_head_request_runs_no_operation_and_has_no_body(platform: Running) -> None:
    printed = await curl(platform, "/v1/models", "-I")

    assert (printed.status, printed.body) == (405, "")
    assert "allow: get" in printed.head


async def test_the_options_of_a_page_from_elsewhere_are_granted(platform: Running) -> None:
    wanted = ("-H", "Origin: https://ui.example", "-H", "Access-Control-Request-Method: POST")
    headers = ("-H", "Access-Control-Request-Headers: authorization, x-stainless-retry-count")

    printed = await curl(platform, "/v1/chat/completions", "-X", "OPTIONS", *wanted, *headers, key="none")

    assert printed.status in {200, 204}
    assert "access-control-allow-origin: *" in printed.head
    assert "x-stainless-retry-count" in printed.head


async def test_a_lost_stream_is_read_on_behind_an_event(platform: Running) -> None:
    words = ("-H", "content-type: application/json", "-H", "x-resumable: true", "-d", STREAMED)
    whole = await curl(platform, "/v1/chat/completions", *words)
    first, _, others = whole.body.partition("\n\n")

    rest = await curl(platform, "/v1/chat/completions", *words, "-H", f"last-event-id: {first.split()[1]}")

    assert (whole.status, rest.status) == (200, 200)
    assert f"x-stream-id: {first.split()[1].lower().rpartition(':')[0]}" in whole.head
    assert rest.body == others
