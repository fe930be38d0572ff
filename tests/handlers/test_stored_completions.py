"""Chat completions that are made with `store`: kept here, each account's own, whatever the upstream can do."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import item, response
from tests.faulty import FaultyUpstream, chunk, completion, usage
from tests.handlers.relaying import client
from tests.handlers.storing import ADD, CALL, body, chunks_of, listed, made, read, refused, rows
from tests.serving import Running

__all__ = ["client"]


async def test_a_completion_is_kept_here_and_the_upstream_is_told_nothing_of_it(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(completion("Hi"))

    answer = await client.post("/chat/completions", json=body(metadata={"topic": "greeting"}))

    told = answer.json()
    assert upstream.requests[0].json == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    assert told["id"].startswith("chatcmpl-")
    assert told == completion("Hi") | {"id": told["id"]}
    assert await read(client, f"/{told['id']}") == told | {"metadata": {"topic": "greeting"}}
    assert len(upstream.requests) == 1
    [record] = await relaying.records()
    async with relaying.database.reading() as session:
        [kept] = (await session.execute(select(response))).mappings()
        said = (await session.execute(select(item).order_by(item.c.sequence))).mappings().all()
        assert await violations(session) == []
    assert (kept["kind"], kept["status"], kept["attempt_id"]) == ("chat.completion", "completed", record.attempt_id)
    assert [(each["role"], each["attempt_id"]) for each in said] == [("user", None), ("assistant", record.attempt_id)]


async def test_every_chunk_of_a_stream_bears_the_id_under_which_it_is_kept(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.streams(chunk("Hel"), *map(chunk, "lo, all of you"), chunk(finish="stop"), usage(3, 2))

    answer = await client.post("/chat/completions", json=body(stream=True, stream_options={"include_usage": True}))

    told = chunks_of(answer)
    [answer_id] = {each["id"] for each in told}
    kept = await read(client, f"/{answer_id}")
    assert answer_id != chunk("")["id"]
    assert kept["choices"][0]["message"]["content"] == "Hello, all of you"
    assert (kept["object"], kept["usage"], kept["metadata"]) == ("chat.completion", told[-1]["usage"], {})
    assert "store" not in upstream.requests[0].json


async def test_what_was_said_is_given_back_with_tools_and_parts(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, picture], "name": "Ada"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ]
    answer = completion("Hi")
    answer["choices"][0]["message"] |= {"content": None, "tool_calls": [CALL], "annotations": []}
    answer["choices"] += completion("Hello")["choices"]
    upstream.answers(answer)

    kept = (await client.post("/chat/completions", json=body(messages=messages, tools=[ADD], n=2))).json()
    shown = await read(client, f"/{kept['id']}")
    said = await read(client, f"/{kept['id']}/messages")

    assert shown["choices"] == answer["choices"]
    usual = {"refusal": None, "content_parts": None}
    apart = {"content": None, "content_parts": messages[1]["content"]}
    expected = [usual | each | {"id": f"{kept['id']}-{at}"} for at, each in enumerate(messages)]
    assert said["data"] == [expected[0], expected[1] | apart, *expected[2:]]
    assert (said["object"], said["has_more"]) == ("list", False)
    assert (said["first_id"], said["last_id"]) == (f"{kept['id']}-0", f"{kept['id']}-3")


async def test_messages_come_in_pages_in_either_order(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    messages = [{"role": "user", "content": f"{number}"} for number in range(3)]
    kept = await made(client, upstream, messages=messages)

    first = await read(client, f"/{kept}/messages", limit=2)
    second = await read(client, f"/{kept}/messages", limit=2, after=first["last_id"])
    back = await read(client, f"/{kept}/messages", order="desc", limit=1)

    assert [each["content"] for each in first["data"]] == ["0", "1"]
    assert ([each["content"] for each in second["data"]], first["has_more"], second["has_more"]) == (["2"], True, False)
    assert ([each["content"] for each in back["data"]], back["has_more"]) == (["2"], True)
    assert await refused(client, f"/{kept}/messages", after="chatcmpl-other-0") == (404, "after")


async def test_completions_are_listed_as_they_were_made_page_by_page(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    made_ids = [await made(client, upstream) for _ in range(3)]

    first = await read(client, "", limit=2)
    second = await read(client, "", limit=2, after=first["last_id"])
    newest = await read(client, "", limit=2, order="desc")
    older = await read(client, "", order="desc", after=newest["last_id"], limit=100)

    assert [each["id"] for each in first["data"]] == made_ids[:2]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (*made_ids[:2], True)
    assert ([each["id"] for each in second["data"]], second["has_more"]) == (made_ids[2:], False)
    assert [each["id"] for each in newest["data"] + older["data"]] == made_ids[::-1]
    assert first["data"][0] == await read(client, f"/{made_ids[0]}")


@pytest.mark.parametrize(("limit", "bound"), [(0, "below_min"), (101, "above_max")])
async def test_a_page_of_none_or_of_too_many_is_refused(client: httpx.AsyncClient, limit: int, bound: str) -> None:
    answer = await client.get("/chat/completions", params={"limit": limit})

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "limit", f"integer_{bound}_value")


async def test_a_list_is_of_those_that_bear_all_that_is_asked_for(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    odd = "\"a'.b[0]$"
    trees = await made(client, upstream, metadata={"topic": "trees", odd: "yes"})
    clocks = await made(client, upstream, metadata={"topic": "clocks"}, model="n")

    assert await listed(client, **{"metadata[topic]": "trees"}) == [trees]
    assert await listed(client, **{f"metadata[{odd}]": "yes", "metadata[topic]": "trees"}) == [trees]
    assert await listed(client, **{f"metadata[{odd}]": "yes", "metadata[topic]": "clocks"}) == []
    assert await listed(client, model="n") == [clocks]
    assert (await read(client, f"/{clocks}"))["model"] == completion("")["model"]
    assert await listed(client, model="o") == []
    assert await listed(client, **{"metadata[a]": "\0"}) == await listed(client, model="\0") == []
    assert await listed(client, **{f"metadata[{number}]": "a" for number in range(99)}) == []
    assert await refused(client, "", after="\0") == (404, "after")


async def test_metadata_is_changed_as_a_whole(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    kept = await made(client, upstream, metadata={"topic": "trees", "a": "b"})

    changed = await client.post(f"/chat/completions/{kept}", json={"metadata": {"topic": "clocks"}})
    emptied = await client.post(f"/chat/completions/{kept}", json={"metadata": None})

    assert changed.json()["metadata"] == {"topic": "clocks"}
    assert changed.json()["choices"] == completion("Hi")["choices"]
    assert (emptied.json()["metadata"], (await read(client, f"/{kept}"))["metadata"]) == ({}, {})


async def test_what_is_deleted_is_gone_with_all_that_was_said(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    kept, stays = await made(client, upstream), await made(client, upstream)

    deleted = await client.delete(f"/chat/completions/{kept}")
    again = await client.delete(f"/chat/completions/{kept}")

    assert deleted.json() == {"id": kept, "object": "chat.completion.deleted", "deleted": True}
    assert (again.status_code, again.json()["error"]["param"]) == (404, "completion_id")
    assert await listed(client) == [stays]
    assert await rows(relaying) == [1, 1, 2]
