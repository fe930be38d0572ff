"""What the server says of itself."""

import gzip
import socket
from pathlib import Path

import aiohttp
import orjson

from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.serving import ADMIN_TOKEN, Running, serving

pytestmark = ON_SQLITE


async def got(running: Running, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.get(running.root + path, headers=headers, skip_auto_headers=["accept-encoding"]) as answer,
    ):
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()


def error_in(body: bytes) -> Json:
    return orjson.loads(body)["error"]


async def test_the_probes_answer_without_a_key(running: Running) -> None:
    assert (await got(running, "/healthz"))[0] == 200
    status, _, body = await got(running, "/readyz")

    assert status == 200
    assert orjson.loads(body) == {
        "status": "ok",
        "database": "ok",
        "upstreams": [{"name": "echo", "circuit": "closed", "last_error": None}],
        "limits": "alone",
    }


async def test_a_draining_server_lives_but_is_not_ready(running: Running) -> None:
    running.server._edge.admission.is_draining = True

    status, headers, body = await got(running, "/readyz")

    assert (status, headers["retry-after"], error_in(body)["code"]) == (503, "5", "draining")
    assert (await got(running, "/healthz"))[0] == 200
    assert (await got(running, "/v1/models", authorization=f"Bearer {running.key}"))[0] == 503


async def test_metrics_are_the_administrators(running: Running) -> None:
    missing = await got(running, "/metrics")
    wrong = await got(running, "/metrics", authorization="Bearer wrong")

    assert (missing[0], wrong[0]) == (401, 401)
    assert error_in(missing[2])["message"].startswith("No token was sent. The administrator's")
    assert error_in(wrong[2])["message"].startswith("Incorrect token provided. This takes the administrator's")
    assert (await got(running, "/metrics", authorization=f"Bearer {running.key}"))[0] == 403

    status, headers, body = await got(running, "/metrics", authorization=f"Bearer {ADMIN_TOKEN}")

    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"llm_backend_exchanges_running 0.0" in body


async def test_metrics_on_a_port_of_their_own_need_no_token(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with serving(database_url, tmp_path, METRICS_PORT=str(port)) as running:
        await got(running, "/healthz")
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/metrics") as answer:
            told = await answer.text()

    assert 'llm_backend_requests_total{operation="getHealth",status="200"} 1.0' in told


async def test_the_document_served_is_the_one_enforced_compressed_or_not(running: Running) -> None:
    _, headers, compressed = await got(running, "/openapi.json", **{"accept-encoding": "gzip"})
    _, plain_headers, plain = await got(running, "/openapi.json")

    assert headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain_headers
    assert gzip.decompress(compressed) == plain
    document = orjson.loads(plain)
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/v1/chat/completions"]["post"]["operationId"] == "createChatCompletion"


async def test_the_page_takes_everything_from_this_server(running: Running) -> None:
    status, headers, page = await got(running, "/docs")

    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http" not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert (await got(running, f"/docs/{asset}"))[0] == 200


async def test_the_page_has_no_other_files(running: Running) -> None:
    status, _, body = await got(running, "/docs/swagger-ui.js")

    assert (status, error_in(body)["param"]) == (404, "asset")
