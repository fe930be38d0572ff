import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from llm_backend import logs
from llm_backend.edge.admission import Edge
from tests.edge.small_app import BODY_LIMIT, Small

Ask = Callable[[Small], httpx.AsyncClient]


@pytest.fixture
async def asking() -> AsyncIterator[Callable[[Edge], httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:

        def client(edge: Edge) -> httpx.AsyncClient:
            made = httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://here")
            stack.push_async_callback(made.aclose)
            return made

        yield client


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as it is written."""
    stream = io.StringIO()
    before = structlog.get_config()
    root = logging.getLogger()
    handlers = list(root.handlers)
    logs.configure("INFO", stream=stream)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-DEF_123", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a b", False),
        ("é", False),
        ("a;b", False),
    ],
)
async def test_a_harmless_request_id_is_kept_and_any_other_replaced(asking: Any, sent: str, kept: bool) -> None:  # noqa: FBT001
    answer = await asking(Small().edge()).get("/v1/models", headers={"x-request-id": sent.encode("latin-1")})

    assert (answer.headers["x-request-id"] == sent) is kept
    if not kept:
        assert answer.headers["x-request-id"].startswith("req_")
        assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/v1/broken", "/v1/stream", "/v1/models/", "/v1/late"])
async def test_every_answer_carries_the_usual_headers(asking: Any, path: str) -> None:
    small = Small()
    small.release.set()

    answer = await asking(small.edge()).get(path)

    assert answer.headers["openai-version"] == "2020-10-01"
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "server" not in answer.headers


async def test_what_nobody_expected_is_a_500_that_tells_nothing_and_is_logged_without_its_words(
    asking: Any, log: io.StringIO
) -> None:
    answer = await asking(Small().edge()).get("/v1/broken")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text
    (unexpected,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "error"]
    assert (unexpected["event"], unexpected["request_id"]) == ("unexpected_error", answer.headers["x-request-id"])
    (told,) = unexpected["exception"]
    assert told["type"] == "ValueError"
    assert "small_app.py" in told["frames"][-1]
    assert "secret" not in log.getvalue()


async def test_a_stream_that_fails_is_left_incomplete(asking: Any) -> None:
    sent: list[Any] = []
    edge = Small().edge()

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await edge(_scope("/v1/half"), _nothing_more, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    (access,) = [line for line in lines if line["event"] == "request"]
    assert (access["status"], access["complete"]) == (200, False)


async def test_an_error_of_ours_keeps_its_advice(asking: Any) -> None:
    answer = await asking(Small().edge()).get("/v1/late")

    assert answer.status_code == 504
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["content-type"] == "application/json"


async def test_an_error_of_ours_names_its_parameter(asking: Any) -> None:
    answer = await asking(Small().edge()).get("/v1/missing")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.json()["error"]["param"] == "model"


async def test_a_method_that_is_not_there_names_all_that_are(asking: Any) -> None:
    answer = await asking(Small().edge()).delete("/v1/models")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_a_wrong_parameter_is_refused_without_its_value(asking: Any) -> None:
    answer = await asking(Small().edge()).get("/v1/models", params={"limit": "secret"})

    assert answer.status_code == 400
    assert "secret" not in answer.text


async def test_a_doubled_base_path_is_told_so(asking: Any) -> None:
    answer = await asking(Small().edge()).get("/v1/v1/models")

    assert "base URL" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/chat/completion", "there is nothing here. Did you mean /v1/chat/completions?"),
        ("/Chat/Complete", "there is nothing here. The API's paths begin with /v1."),
        ("/chat/complete", "there is nothing here. Did you mean /v1/chat/completions?"),
        ("/healthy", "there is nothing here. Did you mean /healthz?"),
        ("/v1/canary", "the API has no operation here."),
        (f"/v1/chat/completions{'s' * 500}", "the API has no operation here."),
        ("/canary", "there is nothing here. The API's paths begin with /v1."),
    ],
)
async def test_a_path_that_is_none_is_told_the_one_it_resembles(asking: Any, path: str, said: str) -> None:
    answer = await asking(Small().edge()).get(path)

    assert (answer.status_code, answer.json()["error"]["message"]) == (404, f"Unknown path: {said}")


async def test_an_azure_path_is_the_operation_with_the_deployment_as_model(asking: Any) -> None:
    path = "/openai/deployments/gpt-4o/chat/completions"

    answer = await asking(Small().edge()).post(path, params={"api-version": "2024-10-21"}, json={})

    assert answer.json()["deployment"] == "gpt-4o"


async def test_a_request_for_another_name_than_the_servers_own_is_refused_before_anything_runs(asking: Any) -> None:
    small = Small(hosts=frozenset({"localhost", "[::1]"}))
    client = asking(small.edge())

    told = {
        host: (await client.get("/v1/models", headers={"host": host})).status_code
        for host in ("localhost", "LocalHost:8000", "[::1]", "[::1]:8000", "evil.example", "evil.example:8000", "::1")
    }

    good = dict.fromkeys(("localhost", "LocalHost:8000", "[::1]", "[::1]:8000"), 200)
    assert told == good | {"evil.example": 403, "evil.example:8000": 403, "::1": 400}
    assert small.counted.count(("models", 200)) == 4
    assert small.counted.count(("none", 403)) == 2


@pytest.mark.parametrize("path", ["/v1/unserved", "/unserved"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=b"])
async def test_what_is_not_served_says_so_whatever_the_body(asking: Any, path: str, content_type: str) -> None:
    client = asking(Small().edge())
    body = b"{" * (2 * BODY_LIMIT)

    answer = await client.post(path, content=body, headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_served")


async def test_what_is_not_served_asks_who_is_there_first(asking: Any) -> None:
    headers = {"authorization": "Bearer wrong", "content-type": "text/plain"}

    answer = await asking(Small().edge()).post("/v1/unserved", content=b"a" * 2 * BODY_LIMIT, headers=headers)

    assert answer.status_code == 401


async def test_each_request_is_counted_by_its_operation_and_status(asking: Any) -> None:
    small = Small()
    client = asking(small.edge())

    for path in ("/v1/models", "/v1/late", "/v1/nothing", "/v1/broken"):
        await client.get(path)

    assert small.counted == [("models", 200), ("late", 504), ("none", 404), ("broken", 500)]


async def test_while_draining_only_probes_are_answered(asking: Any) -> None:
    edge = Small().edge()
    edge.admission.is_draining = True

    refused = await asking(edge).get("/v1/models")
    probe = await asking(edge).get("/healthz")

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert refused.headers["retry-after"] == "5"
    assert probe.status_code == 200


async def test_more_requests_at_once_than_are_taken_are_refused_and_later_ones_not(asking: Any) -> None:
    small = Small(max_concurrent=1)
    edge = small.edge()
    client = asking(edge)
    stream = asyncio.create_task(client.get("/v1/stream"))
    await small.started.wait()

    refused = await client.get("/v1/models")

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"

    small.release.set()
    await stream
    assert (await client.get("/v1/models")).status_code == 200


async def test_the_access_log_says_what_is_safe_and_nothing_else(asking: Any) -> None:
    headers = {"authorization": "Bearer secret", "x-stainless-retry-count": "2", "x-request-id": "mine"}

    with capture_logs() as lines:
        await asking(Small().edge()).get("/v1/models", params={"limit": "3", "secret": "secret"}, headers=headers)

    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "mine"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/models", 200)
    assert line["operation"] == "models"
    assert line["retry_count"] == 2
    assert line["bytes"] > 0
    assert line["complete"]
    assert "secret" not in json.dumps(line)


def _scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"here")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
