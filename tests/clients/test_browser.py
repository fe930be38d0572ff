"""A real page in headless Chromium, calling from another origin: what it can read, and who cannot."""

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from tests.clients.chromium import CHROMIUM, drawn, seen, site
from tests.clients.test_node_sdk import NODE
from tests.serving import SECRET_KEY, Running, serving

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not (CHROMIUM and NODE.exists()) and os.environ.get("CI") != "true",
        reason="the page needs Chromium, and the SDK that comes with npm and `make test`",
    ),
]

Told = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the page saw, and under `records` how the requests of its account and of the poor one ended."""
    folder = tmp_path_factory.mktemp("browser")
    shutil.copy(migrated_file, folder / "test.db")
    url = f"sqlite:///{folder / 'test.db'}"
    async with site() as page, serving(url, folder, CORS_ORIGINS=page.origin) as server:
        clock = SystemClock()
        keys = Keys(server.database, await unlock(server.database, SECRET_KEY, clock), clock)
        accounts = Accounts(server.database, clock)
        account, key = await accounts.create_with_key("rich", keys, token_limit=100_000, requests_per_minute=1_000)
        _, poor = await accounts.create_with_key("poor", keys, token_limit=10)
        given = {"base": server.base_url, "key": key.text, "poor": poor.text, "stranger": page.stranger}
        told = await seen(page, folder / "profile", **given)
        server.account_id = account.id
        return told | {"records": await endings(server)}


async def endings(server: Running) -> Counter[tuple[str, str | None]]:
    return Counter((record.status, record.error_code) for record in await server.records())


async def test_models_and_a_whole_answer_are_read(told: Told) -> None:
    assert told["models"]["status"] == told["whole"]["status"] == 200
    assert "echo" in [model["id"] for model in told["models"]["body"]["data"]]
    assert told["whole"]["body"]["choices"][0]["message"]["content"] == "Grüße from 世界"


async def test_headers_that_tell_of_limits_and_budgets_are_read(told: Told) -> None:
    for way in ("whole", "streamed"):
        headers = told[way]["headers"]
        assert headers["x-request-id"].startswith("req_")
        assert headers["openai-version"] == "2020-10-01"
        assert headers["x-ratelimit-limit-requests"] == "1000"
        assert int(headers["x-ratelimit-remaining-requests"]) < 1000
        assert headers["x-budget-limit-tokens"] == "100000"
        assert int(headers["x-budget-remaining-tokens"]) < 100_000


async def test_a_stream_is_read_to_its_end(told: Told) -> None:
    assert told["streamed"]["status"] == 200
    assert (told["streamed"]["said"], told["streamed"]["last"]) == ("one two three", "[DONE]")


async def test_a_stream_is_read_word_by_word_and_may_be_left(told: Told) -> None:
    assert told["left"] == {"said": "one two", "error": "AbortError"}
    assert told["records"]["incomplete", "client_disconnected"] == 1


async def test_a_stream_that_breaks_off_tells_the_page_why(told: Told) -> None:
    assert told["broken"]["said"] == "one two"
    assert told["broken"]["error"]["code"] == "upstream_unreachable"


async def test_a_sound_is_taken_from_the_page_as_a_form_and_given_to_it(told: Told) -> None:
    assert told["heard"] == {"type": "audio/wav", "text": "one two three"}


async def test_a_file_is_kept_for_the_page_read_by_its_name_and_deleted(told: Told) -> None:
    kept = told["kept"]

    assert (kept["text"], kept["deleted"]) == ("one two", True)
    assert "attachment" in kept["disposition"]


REFUSALS = {
    "wrong_key": (401, "invalid_api_key"),
    "no_model": (404, "model_not_found"),
    "no_path": (404, "not_found"),
    "wrong_body": (400, "invalid_type"),
    "spent": (429, "insufficient_quota"),
}


@pytest.mark.parametrize("asked", REFUSALS)
async def test_every_refusal_is_read_with_the_id_of_its_request(told: Told, asked: str) -> None:
    refusal = told[asked]

    assert (refusal["status"], refusal["body"]["error"]["code"]) == REFUSALS[asked]
    assert refusal["headers"]["x-request-id"].startswith("req_")


async def test_a_spent_budget_is_read_with_what_is_left_of_it(told: Told) -> None:
    headers = told["spent"]["headers"]

    assert (headers["x-budget-limit-tokens"], headers["x-budget-used-tokens"]) == ("10", "0")
    assert headers["x-should-retry"] == "false"


async def test_the_official_sdk_works_in_the_page_with_all_its_headers(told: Told) -> None:
    sdk = told["sdk"]

    assert (sdk["said"], sdk["status"], sdk["code"]) == ("one two three", 404, "model_not_found")
    assert sdk["request"].startswith("req_")


async def test_a_page_of_an_origin_that_is_not_let_in_reads_nothing_and_starts_nothing(told: Told) -> None:
    refused = {"error": "TypeError: Failed to fetch"}
    assert told["elsewhere"] == {"models": refused, "simple": refused, "chat": refused}
    assert told["records"] == {
        ("completed", None): 5,
        ("incomplete", "client_disconnected"): 1,
        ("incomplete", "upstream_unreachable"): 1,
        ("failed", "model_not_found"): 2,
    }


async def test_the_page_of_the_api_draws_the_fields_of_a_form(shared: Running, tmp_path: Path) -> None:
    elements = await drawn(f"{shared.root}/docs#/audio/createTranscription", tmp_path / "profile")

    assert "timestamp_granularities" in elements
    assert "api_base" not in elements
    assert "Could not render" not in elements
