"""A real server on a real socket, in the test's own event loop: a test sees both its answers and its records."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llm_backend.app import create_app
from llm_backend.configured import transport_of
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.domain.services import Services
from llm_backend.edge.server import Server, server
from llm_backend.edge.serving import ConnectionLimits, Parser, ServerTimes, Serving
from llm_backend.settings import Settings, Source
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.usage import UsageRecord
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.wire import Transport

SECRET_KEY = "a-test-secret-of-more-than-32-bytes"
ADMIN_TOKEN = "admin-token-for-tests-of-32-bytes!"

AT_ONCE = ServerTimes(grace_seconds=0.0)
"""What still runs when a test is over is cut."""


@dataclass(slots=True)
class Running:
    """A server that runs, and what a test wants to know of it."""

    server: Server
    settings: Settings
    services: Services
    database: Database
    account_id: int
    key: str
    echo: Echo | None
    """The built-in model that answers; None where another transport does."""
    admin_token: str = ADMIN_TOKEN
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop, repr=False)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root}/v1"

    @property
    def headers(self) -> dict[str, str]:
        """What an authenticated client sends."""
        return {"authorization": f"Bearer {self.key}"}

    async def quiet(self) -> None:
        """Returns when no exchange runs any more, so that all of them are settled."""
        await self.services.exchanges.settled()

    async def records(self) -> list[UsageRecord]:
        """The account's usage records, in the order of the attempts, once everything is settled."""
        await self.quiet()
        async with self.database.reading() as session:
            return await usage.of_account(session, self.account_id)


@asynccontextmanager
async def serving(
    database_url: str,
    tmp_path: Path,
    *,
    transport: Transport | None = None,
    parser: Parser = "httptools",
    times: ServerTimes | None = None,
    limits: ConnectionLimits | None = None,
    toml: str = "",
    name: str = "tests",
    **environment: str,
) -> AsyncIterator[Running]:
    """Serve on a free port of 127.0.0.1; `environment` and `toml` as a deployment would set them.

    `name`: of its account, of which another server on the database needs one of its own.
    """
    source = _source(database_url, tmp_path, toml, environment)
    settings = source.load()
    echo = None if transport or settings.upstream.url else Echo()
    instead = EchoTransport(echo) if echo else transport
    app = create_app(
        settings,
        transport_of=lambda each: transport_of(each) if each.url or not instead else instead,
        source=source,
    )
    where = Serving(port=0, parser=parser, times=times or AT_ONCE, limits=limits or ConnectionLimits())
    running_server = server(app, where)
    task = asyncio.create_task(running_server.serve())
    while not running_server.started:
        if task.done():
            raise AssertionError("The server did not start; its log says why.") from task.exception()
        await asyncio.sleep(0.005)
    database = Database(database_url)
    try:
        account_id, key = await _account(database, name)
        services = running_server.lifespan.state["services"]
        yield Running(running_server, settings, services, database, account_id, key, echo)
        undocumented = services.metrics.responses_undocumented._value.get()
        assert undocumented == 0, "The log says where responses are not as they are documented."
    finally:
        running_server.should_exit = True
        await task
        await database.close()


def _source(database_url: str, tmp_path: Path, toml: str, environment: dict[str, str]) -> Source:
    variables = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET_KEY,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "LLM_BACKEND_HOME": str(tmp_path),
        "RESPONSES_CHECK": "on",
        **environment,
    }
    if toml:
        file = tmp_path / "llm-backend.toml"
        file.write_text(toml)
        variables["LLM_BACKEND_CONFIG"] = str(file)
    return Source(variables, tmp_path)


async def _account(database: Database, name: str = "tests") -> tuple[int, str]:
    clock = SystemClock()
    keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
    account, key = await Accounts(database, clock).create_with_key(name, keys)
    return account.id, key.text
