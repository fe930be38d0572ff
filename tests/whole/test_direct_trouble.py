"""What goes wrong behind the contract is told alike by both ways: limits, budgets, conflicts, faults of anyone."""

import orjson
import pytest

from llm_backend.domain.directory import Directory
from llm_backend.domain.exchanges import Exchanges
from llm_backend.errors import Json
from tests.whole.asgi import Request
from tests.whole.good_requests import bearer
from tests.whole.test_direct_routing import ADMIN, Both, both

__all__ = ["both"]

FAILING = ValueError("what nobody expects, and no client is told")


def of_json(method: str, target: str, headers: dict[str, str], body: Json) -> Request:
    return Request(method, target, {"content-type": "application/json", **headers}, orjson.dumps(body))


def chat(both: Both, said: str = "Hello", *, stream: bool = False, **headers: str) -> Request:
    """A completion that the owner asks for."""
    body = {"model": "echo", "messages": [{"role": "user", "content": said}], "stream": stream}
    return of_json("POST", "/v1/chat/completions", bearer(both.world.tokens["owner"]) | headers, body)


async def test_who_asks_too_often_is_refused_alike(both: Both) -> None:
    account = f"/api/accounts/{both.world.own['account_id']}"
    asked = [
        of_json("PUT", account, ADMIN, {"requests_per_minute": 1}),
        chat(both),
        chat(both),
        chat(both, stream=True),
    ]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses == {200: 2, 429: 2}


async def test_who_has_used_up_a_budget_is_refused_alike(both: Both) -> None:
    budget = f"/api/accounts/{both.world.own['account_id']}/budgets/account"
    asked = [of_json("PUT", budget, ADMIN, {"budget": 1}), chat(both), chat(both), chat(both, stream=True)]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses == {200: 1, 429: 3}


async def test_what_cannot_be_told_again_and_what_is_taken_are_refused_alike(both: Both) -> None:
    broken = chat(both, "[[fault reset]] one two three four", stream=True, **{"idempotency-key": "the same"})
    taken = [of_json("POST", "/api/accounts", ADMIN, {"name": "taken"}) for _ in range(2)]

    differing, statuses = await both.differences([broken, broken, *taken])

    assert differing == {}
    assert statuses == {200: 1, 409: 1, 201: 1, 400: 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_is_away_is_told_alike(both: Both, *, stream: bool) -> None:
    asked = [chat(both, f"[[fault {fault}]] Hello", stream=stream) for fault in ("refused", "html", "503", "429")]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses.keys() >= {502, 429}


async def test_a_handler_that_fails_is_told_alike(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise FAILING

    monkeypatch.setattr(Exchanges, "whole", fail)
    monkeypatch.setattr(Exchanges, "stream", fail)
    monkeypatch.setattr(Directory, "people", fail)
    people = Request("GET", "/api/users", ADMIN)

    differing, statuses = await both.differences([chat(both), chat(both, stream=True), people])

    assert differing == {}
    assert statuses == {500: 3}


async def test_a_server_that_drains_refuses_alike(both: Both) -> None:
    for running in (both.direct, both.layered):
        running.server.config.loaded_app.admission.is_draining = True

    others = [Request("GET", path) for path in ("/healthz", "/readyz", "/nowhere")]
    differing, statuses = await both.differences([chat(both), *others])

    assert differing == {}
    assert statuses == {200: 1, 503: 3}
