"""A response in the background that is told as events, under an idempotency key: asked for again, it is read again."""

import httpx

from tests.handlers.answering import answering, asker
from tests.serving import Running

__all__ = ["answering", "asker"]

BODY = {"model": "echo", "input": "one two", "background": True, "stream": True}
KEYED = {"idempotency-key": "k-1"}


async def test_a_stream_in_the_background_is_told_again_from_its_first_event(
    asker: httpx.AsyncClient, answering: Running
) -> None:
    first = await asker.post("/responses", json=BODY, headers=KEYED)

    again = await asker.post("/responses", json=BODY, headers=KEYED)

    assert "event: response.completed" in first.text
    assert (again.text, again.headers["content-type"]) == (first.text, first.headers["content-type"])
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(await answering.records()) == 1


async def test_what_was_deleted_meanwhile_is_not_found(asker: httpx.AsyncClient) -> None:
    first = await asker.post("/responses", json=BODY, headers=KEYED)
    name = first.text.partition('"id":"')[2].partition('"')[0]
    await asker.delete(f"/responses/{name}")

    again = await asker.post("/responses", json=BODY, headers=KEYED)

    assert (again.status_code, again.json()["error"]["code"]) == (404, "idempotency_result_deleted")
