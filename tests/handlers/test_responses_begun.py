"""A response in the background whose client cannot be told what it should be: made once, and nobody waits for ever."""

import httpx
import pytest

from llm_backend.domain.responses import background
from llm_backend.domain.responses.responses import Responses
from llm_backend.errors import DatabaseUnavailable, Json
from tests.handlers.responding import Asked

KEYED = {"idempotency-key": "k-1"}
ASKED: Json = {"model": "m", "input": "Hi", "background": True}
ONE_KIND = pytest.mark.parametrize("asked", ["chat"], indirect=True)


@ONE_KIND
async def test_one_whose_events_cannot_be_read_at_first_is_made_and_charged_once(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Responses.events
    asked.will_say(stream=True)

    async def away(*_given: Json) -> None:
        monkeypatch.setattr(Responses, "events", read)
        raise DatabaseUnavailable

    monkeypatch.setattr(Responses, "events", away)
    with pytest.raises(httpx.RemoteProtocolError):
        await asked.client.post("/responses", json=ASKED | {"stream": True}, headers=KEYED)
    await asked.running.quiet()

    again = await asked.client.post("/responses", json=ASKED | {"stream": True}, headers=KEYED)

    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert "event: response.completed" in again.text
    assert len(asked.upstream.requests) == 1
    assert len(await asked.running.records()) == 1


@ONE_KIND
async def test_whoever_waits_for_one_that_a_fault_keeps_from_being_begun_is_told(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Json) -> None:
        raise TypeError

    monkeypatch.setattr(background, "opened", broken)

    answer = await asked.client.post("/responses", json=ASKED)

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert asked.upstream.requests == []
