"""At the most talkative level, after all that may go wrong: no secret and no prompt is where it should not be."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from llm_backend.errors import Json
from llm_backend.storage.database import Database
from llm_backend.storage.tables import metadata
from tests.faulty import Cut, FaultyUpstream, chunk, completion, error
from tests.whole.standing import Standing, environment, standing, told

UPSTREAM_KEY = "sk-upstream-canary-0123456789abcdef"
ADMIN_TOKEN = "admin-canary-0123456789abcdef0123456789"
SECRET_KEY = "secret-canary-0123456789abcdef0123456789"
PASSWORD = "password-canary-0123"
WRONG_KEY = "sk-wrong-canary-0123456789abcdef"
PROMPT = "prompt-canary Where is the treasure?"
HELLO: Json = {"model": "some-model", "messages": [{"role": "user", "content": PROMPT}]}
WRONG = [
    orjson.dumps(HELLO)[:-1],
    b'{"model": "m", "messages": [' + orjson.dumps(PROMPT) + b", NaN]}",
    b"\xff" + PROMPT.encode(),
    orjson.dumps(HELLO | {"messages": PROMPT}),
    orjson.dumps(HELLO | {"messages": [{"role": PROMPT, "content": "a"}]}),
    orjson.dumps(HELLO | {"tools": [{"type": "function", "function": {"name": [PROMPT]}}]}),
    orjson.dumps(HELLO | {"api_key": PROMPT}),
    orjson.dumps(HELLO | {"metadata": {"k": PROMPT * 50}}),
    orjson.dumps(PROMPT),
]


UNTOUCHED = {"conversation", "item", "response", "response_event", "webhook_event"}
"""Tables of what does not happen here: what is said is kept on purpose, and nobody passes a soft limit."""


@dataclass
class Scene:
    """A server with a canary for each of its secrets, and what it has said to its clients."""

    server: Standing
    upstream: FaultyUpstream
    client: httpx.AsyncClient
    database_url: str
    answers: list[httpx.Response] = field(default_factory=list)

    async def chat(self, body: Json | bytes = HELLO, **headers: str) -> None:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = self.server.headers | {"content-type": "application/json"} | headers
        self.answers.append(await self.client.post("/v1/chat/completions", content=content, headers=sent))

    async def kept(self) -> str:
        """Everything that is in the database."""
        database = Database(self.database_url)
        try:
            async with database.reading() as session:
                tables = {table.name: (await session.execute(select(table))).all() for table in metadata.sorted_tables}
        finally:
            await database.close()
        filled = {name for name, rows in tables.items() if rows}
        assert filled >= set(tables) - UNTOUCHED, "each table has rows, or the proof is empty"
        return repr(tables)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Scene]:
    url = make_url(database_url)
    if url.host:
        url = url.set(password=PASSWORD)
    whole_url = url.render_as_string(hide_password=False)
    redis_url = f"redis://:{PASSWORD}@127.0.0.1:1/0"
    opened = {"DATABASE_URL": whole_url, "SECRET_KEY": SECRET_KEY, "ADMIN_TOKEN": ADMIN_TOKEN, "REDIS_URL": redis_url}
    upstreams = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": UPSTREAM_KEY, "LOG_LEVEL": "DEBUG"}
    with standing(tmp_path, env=environment(**opened, **upstreams)) as server:
        server.key = told(tmp_path, "accounts", "create", "tests", **opened)["api_key"]
        told(tmp_path, "users", "create", "somebody", **opened)
        async with httpx.AsyncClient(base_url=server.root) as client:
            yield Scene(server, upstream, client, whole_url)


async def everything_happens(scene: Scene) -> None:
    """Good requests, and each way to fail that we know of: the client's, the upstream's, and both keys'."""
    scene.upstream.answers(completion("fine"))
    await scene.chat(**{"idempotency-key": "canary"})
    scene.upstream.streams("fi", "ne")
    await scene.chat(HELLO | {"stream": True})
    scene.upstream.streams(chunk("fi"), Cut)
    await scene.chat(HELLO | {"stream": True})
    for status in (400, 401, 403, 404, 422, 429, 500):
        scene.upstream.answers(error(f"Incorrect API key provided: {UPSTREAM_KEY}."), status=status)
        await scene.chat(HELLO | {"stream": status == 401})
    scene.upstream.forget()
    scene.upstream.answers({"id": "vs_1", "object": "vector_store", "created_at": 1, "metadata": {}})
    headers = scene.server.headers
    scene.answers.append(await scene.client.post("/v1/vector_stores", json={"name": PROMPT}, headers=headers))
    scene.upstream.raw(b"HTTP/1.1 500 Told\r\ncontent-type: text/html\r\n\r\n" + UPSTREAM_KEY.encode())
    await scene.chat()
    for body in WRONG:
        await scene.chat(body)
    for authorization in (f"Bearer {WRONG_KEY}", f"Basic {WRONG_KEY}", f"Bearer {ADMIN_TOKEN}", WRONG_KEY):
        await scene.chat(authorization=authorization)
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for path in ("/api/accounts", "/api/accounts/1", "/api/accounts/1/keys", "/api/users"):
        scene.answers.append(await scene.client.get(path, headers=admin))
    for path in (f"/v1/models?api_key={WRONG_KEY}&prompt={PROMPT}", "/v1/models", "/metrics"):
        scene.answers.append(await scene.client.get(path, headers=scene.server.headers))
    scene.answers.append(await scene.client.get("/metrics", headers=admin))


async def test_no_secret_and_no_prompt_is_told_logged_counted_or_kept(scene: Scene) -> None:
    await everything_happens(scene)
    kept = await scene.kept()
    scene.server.stop()

    statuses = {answer.status_code for answer in scene.answers}
    told_to_clients = "".join(f"{answer.headers!r}{answer.text}" for answer in scene.answers)
    canaries = [UPSTREAM_KEY, ADMIN_TOKEN, SECRET_KEY, PASSWORD, WRONG_KEY, PROMPT, "canary", scene.server.key]
    canaries.append(scene.server.key.rpartition("-")[2][-32:])
    places = {"log": "".join(scene.server.lines), "answers": told_to_clients, "database": kept}
    assert [(place, canary) for place, text in places.items() for canary in canaries if canary in text] == []
    assert {200, 400, 401, 502} <= statuses
    assert len(scene.server.lines) > len(scene.answers)
