"""llm-backend with little and with much in its database, otherwise alike."""

import asyncio
import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson

from benchmarks import servers
from benchmarks.filling import Amounts, fill
from benchmarks.servers import BUDGET_TOKENS, Server
from llm_backend.storage.database import Database, Limits

LITTLE, MUCH = "little", "much"
ADMIN_TOKEN = "a-token-of-the-benchmarks-administrator"  # noqa: S105 (of a server that lives for minutes, on loopback)
CONTEXT_TOKENS = 8_000
"""What a model reads: of a chat the last forty messages."""
OK = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    amounts: Amounts
    models: int

    @property
    def model(self) -> str:
        """One in the middle of the configured ones."""
        return f"model-{self.models // 2}"


SIZES = {
    LITTLE: Size(Amounts(records=3_000, keys=400, messages=100, others=1), models=1),
    MUCH: Size(Amounts(records=1_000_000, keys=100_000, messages=10_000, others=100), models=1_000),
}
"""With little, lists by page and the history that a model reads are as long as with much."""


class Client:
    """One connection, kept alive."""

    def __init__(self, url: str, token: str = "") -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The answer, read. Raises RuntimeError where it is no good one."""
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in OK:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {text[:300].decode()}")
        return orjson.loads(text)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Grown:
    """A server that runs, and what there is to ask for."""

    server: Server
    root: str
    account: int
    chat: int
    key: str
    size: Size


@contextmanager
def grown(folder: Path, upstream_url: str, size: Size, database_url: str | None) -> Iterator[Grown]:
    """A server of this size, filled before it is started for good."""
    folder.mkdir()
    variables = _variables(folder, upstream_url, size, database_url)
    if database_url:
        servers.commanded(folder, variables, "llm_backend", "db", "upgrade")
    with servers.running(folder, *_SERVE, variables=variables) as (_, root):
        account, chat, key = _begun(root, size)
    asyncio.run(_filled(database_url or f"sqlite:///{folder / 'llm-backend.db'}", account, chat, size.amounts))
    with servers.running(folder, *_SERVE, variables=variables) as (process, root):
        name = database_url.rpartition("/")[2] if database_url else None
        server = Server(folder.name, f"{root}/v1", (key,), process.pid, database=name)
        yield Grown(server, root, account, chat, key, size)


_SERVE = ("llm_backend", "serve", "--port", "0")


def _variables(folder: Path, upstream_url: str, size: Size, database_url: str | None) -> Mapping[str, str]:
    file = folder / "llm-backend.toml"
    models = (f'[models."model-{number}"]\ncontext_length = {CONTEXT_TOKENS}\n' for number in range(size.models))
    file.write_text(f'[chats]\nchat_model = "{size.model}"\n' + "".join(models))
    added = {"ADMIN_TOKEN": ADMIN_TOKEN, "LLM_BACKEND_CONFIG": str(file), "LLM_BACKEND_HOME": str(folder)}
    return {**servers.settings(upstream_url, database_url), **added}


def _begun(root: str, size: Size) -> tuple[int, int, str]:
    """An account that has asked once, and its chat."""
    admin = Client(root, ADMIN_TOKEN)
    made = admin.ask("POST", "/api/accounts", orjson.dumps({"name": "owner", "budget": BUDGET_TOKENS}))
    owner = Client(root, made["api_key"])
    chat = owner.ask("POST", "/api/chats", orjson.dumps({"name": "a long one"}))
    owner.ask("POST", "/v1/chat/completions", completion(size.model))
    admin.close()
    owner.close()
    return made["id"], chat["id"], made["api_key"]


def completion(model: str) -> bytes:
    """A chat of one question."""
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": "How much is there?"}]})


async def _filled(url: str, account: int, chat: int, amounts: Amounts) -> None:
    database = Database(url, Limits(statement_seconds=0, idle_in_transaction_seconds=0))
    try:
        await fill(database, account, chat, amounts)
    finally:
        await database.close()
    if not database.is_sqlite:
        await _tidied(url)


async def _tidied(url: str) -> None:
    """What PostgreSQL does by itself some minutes later, which would be taken for what requests cost."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
