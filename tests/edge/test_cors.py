from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from structlog.testing import capture_logs

from tests.edge.small_app import Small

Page = Callable[..., httpx.AsyncClient]

PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with AsyncExitStack() as stack:

        def client(*origins: str, origin: str = "https://ui.example") -> httpx.AsyncClient:
            small = Small(origins=origins)
            small.release.set()
            transport = httpx.ASGITransport(small.edge())
            made = httpx.AsyncClient(transport=transport, base_url="http://here", headers={"origin": origin})
            stack.push_async_callback(made.aclose)
            return made

        yield client


async def test_a_preflight_is_answered_without_a_key_and_allows_what_it_asks_for(page: Page) -> None:
    answer = await page("https://ui.example").options("/v1/chat/completions", headers=PREFLIGHT)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://ui.example"
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert {"GET", "POST", "DELETE", "PATCH"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert answer.headers["access-control-max-age"] == "600"
    assert "Origin" in answer.headers["vary"]


async def test_a_preflight_carries_what_every_answer_carries_and_is_logged(page: Page) -> None:
    with capture_logs() as lines:
        answer = await page("https://ui.example").options("/v1/models", headers=PREFLIGHT | {"x-request-id": "mine"})

    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["openai-version"] == "2020-10-01"
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-content-type-options"] == "nosniff"
    (line,) = lines
    assert (line["event"], line["request_id"], line["status"]) == ("request", "mine", 200)
    assert (line["method"], line["path"], line["operation"]) == ("OPTIONS", "/v1/models", None)


@pytest.mark.parametrize(
    ("head", "status"), [({f"x-{n}": "a" for n in range(101)}, 431), ({"host": "he/re"}, 400), ({"host": "a, b"}, 400)]
)
async def test_the_head_of_a_preflight_is_bounded_as_any(page: Page, head: dict[str, str], status: int) -> None:
    answer = await page("https://ui.example").options("/v1/models", headers=PREFLIGHT | head)

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "https://ui.example"


async def test_a_preflight_is_answered_where_its_request_will_be_refused(page: Page) -> None:
    # Refused itself, it would hide the refusal from the page.
    answer = await page("https://ui.example").options("/v1/models/", headers=PREFLIGHT)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/v1/broken", "/v1/stream", "/v1/late", "/v1/models/"])
async def test_answers_errors_and_streams_may_be_read(page: Page, path: str) -> None:
    answer = await page("https://ui.example").get(path)

    assert answer.headers["access-control-allow-origin"] == "https://ui.example"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-tokens", "x-budget-used-microusd"} <= set(exposed)
    assert not any("*" in name for name in exposed)
    assert "Origin" in answer.headers["vary"]


async def test_a_page_of_another_origin_gets_no_leave(page: Page) -> None:
    client = page("https://ui.example", origin="https://evil.example")

    for answer in (await client.get("/v1/models"), await client.options("/v1/models", headers=PREFLIGHT)):
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_any_origin_means_none_by_name_and_no_credentials(page: Page) -> None:
    answer = await page("*").get("/v1/models")

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_without_origins_there_is_no_header_of_it(page: Page) -> None:
    client = page()

    for answer in (await client.get("/v1/models"), await client.options("/v1/models", headers=PREFLIGHT)):
        assert not [name for name in answer.headers if name.startswith("access-control")]
