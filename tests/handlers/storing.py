"""Chat completions that are made with `store`, and how they are asked for again."""

import httpx
import orjson
from sqlalchemy import func, select

from llm_backend.errors import Json
from llm_backend.storage.tables import conversation, item, response
from tests.faulty import FaultyUpstream, completion
from tests.serving import Running

ADD = {"type": "function", "function": {"name": "add", "parameters": {}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def body(content: Json = "Hello", **rest: Json) -> dict[str, Json]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], "store": True, **rest}


async def made(client: httpx.AsyncClient, upstream: FaultyUpstream, content: str = "Hello", **rest: Json) -> str:
    """The id of one that is kept."""
    upstream.forget()
    upstream.answers(completion("Hi"))
    answer = await client.post("/chat/completions", json=body(content, **rest))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def read(client: httpx.AsyncClient, path: str, **query: Json) -> Json:
    answer = await client.get(f"/chat/completions{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(client: httpx.AsyncClient, **query: Json) -> list[str]:
    return [each["id"] for each in (await read(client, "", **query))["data"]]


async def refused(client: httpx.AsyncClient, path: str, **query: Json) -> tuple[int, str]:
    answer = await client.get(f"/chat/completions{path}", params=query)
    return answer.status_code, answer.json()["error"]["param"]


def chunks_of(answer: httpx.Response) -> list[Json]:
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]", answer.text
    return [orjson.loads(each) for each in events[:-1]]


async def rows(running: Running) -> list[int]:
    """How many rows there are of what is kept."""
    async with running.database.reading() as session:
        return [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (response, conversation, item)
        ]
