"""No spelling of a path and no header leads around the door, and no key that was taken away leads through it."""

from urllib.parse import urlsplit

import httpx
import pytest

from llm_backend.domain.clock import SystemClock
from llm_backend.domain.key_text import public_id_of
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from tests.edge.wire import wire
from tests.serving import SECRET_KEY, Running
from tests.whole.good_requests import BODIES, bearer
from tests.whole.standing import Standing

ADMINISTERED = "/api/accounts"
SPELLINGS = [
    ADMINISTERED,
    "/api/accounts/",
    "/api//accounts",
    "//api/accounts",
    "/api/./accounts",
    "/v1/../api/accounts",
    "/v1/models/../../api/accounts",
    "/v1/models/%2e%2e/%2e%2e/api/accounts",
    "/docs/../api/accounts",
    "/api%2Faccounts",
    "/%61pi/accounts",
    "/API/accounts",
    "/api/accounts;/v1/models",
    "/api/accounts%00",
    "/openai/deployments/echo/../../api/accounts",
    "/v1/api/accounts",
]
MISLEADING = {
    "x-original-url": ADMINISTERED,
    "x-rewrite-url": ADMINISTERED,
    "x-forwarded-prefix": "/api",
    "x-forwarded-path": ADMINISTERED,
    "x-forwarded-uri": ADMINISTERED,
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "admin",
    "x-http-method-override": "POST",
    "forwarded": "for=127.0.0.1",
}
MALFORMED = [
    "' OR 1=1 --",
    "'; SELECT pg_sleep(10); --",
    "sk-lb-abcdefghijkl-" + "0" * 49,
    "sk-lb-abcdefghijkl-" + "0" * 10_000,
    "\xff\xfe",
    "clé",
]


@pytest.mark.parametrize("with_key", [True, False])
def test_no_spelling_of_a_path_opens_what_is_the_administrators(server: Standing, *, with_key: bool) -> None:
    # Row 83
    key = f"Authorization: Bearer {server.key}\r\n" if with_key else ""

    told = {path: answered(server, path, key) for path in SPELLINGS}

    assert {path: status for path, status in told.items() if status not in {400, 401, 403, 404}} == {}
    assert told[ADMINISTERED] == (403 if with_key else 401)


@pytest.mark.parametrize("name", MISLEADING)
def test_no_header_leads_elsewhere_than_the_path_does(server: Standing, client: httpx.Client, name: str) -> None:
    # Row 83
    header = {name: MISLEADING[name]}

    models, accounts = client.get("/v1/models", headers=header), client.get(ADMINISTERED, headers=header)
    stranger = httpx.get(f"{server.root}/v1/models", headers=header)

    assert (models.status_code, models.json()["object"]) == (200, "list")
    assert (accounts.status_code, stranger.status_code) == (403, 401)


def test_what_is_no_key_is_refused_whatever_it_holds(client: httpx.Client) -> None:
    # Row 80
    tokens = [token.encode("latin-1") for token in MALFORMED]

    told = [client.get("/v1/models", headers={b"authorization": b"Bearer " + token}) for token in tokens]

    assert [answer.status_code for answer in told] == [401] * len(MALFORMED)
    assert {answer.json()["error"]["code"] for answer in told} == {"invalid_api_key"}


async def test_a_key_that_another_process_revokes_buys_nothing_from_then_on_although_it_was_just_used(
    running: Running,
) -> None:
    # Rows 62 and 84: what was found a moment ago is good for reading, and not for what costs.
    async with httpx.AsyncClient(base_url=running.root, headers=bearer(running.key), timeout=60) as client:
        before = await client.get("/v1/models")
        await (await elsewhere(running)).revoke(public_id_of(running.key))

        refused = await client.post("/v1/chat/completions", json=BODIES["createChatCompletion"])

    assert (before.status_code, refused.status_code) == (200, 401)
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert running.echo is not None
    assert [call.path for call in running.echo.calls if call.method == "POST"] == []
    assert await running.records() == []


def answered(server: Standing, path: str, headers: str) -> int:
    """The status of a request for exactly that path."""
    port = urlsplit(server.root).port
    assert port is not None
    with wire(port) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n".encode("latin-1"))
        return connection.answer().status


async def elsewhere(running: Running) -> Keys:
    """The keys, as a process beside the server has them."""
    clock = SystemClock()
    return Keys(running.database, await unlock(running.database, SECRET_KEY, clock), clock)
