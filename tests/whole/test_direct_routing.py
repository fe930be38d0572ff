"""What goes straight to its operation is answered as Connexion's layers would have it answered, whatever is asked."""

import re
import shutil
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from llm_backend.contract.documents import merge
from llm_backend.contract.operations import Operation, in_turn
from llm_backend.resources import resource
from tests.serving import ADMIN_TOKEN, Running, serving
from tests.whole.access import IDENTITIES, World, world_on
from tests.whole.asgi import Request, ask
from tests.whole.good_requests import bearer, in_order, is_for_admin
from tests.whole.refusals import as_is, misplaced, wrong
from tests.whole.test_relayed_operations import UNMETERED

DOCUMENT = merge(resource("spec"), unmetered=UNMETERED)
EVERY = in_order(in_turn(DOCUMENT))
UNTOLD = frozenset({"x-request-id", "date", "openai-processing-ms"})
"""Headers that differ between any two answers."""
TIMED = frozenset({"retry-after", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"})
"""Headers that count down: only whether they are there is compared."""
NOTED = ("operation", "error", "account_id", "status", "complete")
"""What the access log says of a request that may not differ either."""
MADE_UP = re.compile(
    rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    rb"|(?<=[-_.])(?=[a-z_]*[0-9A-Z])[A-Za-z0-9_+=/-]{12,}"  # ids and keys
    rb"|(?<=[\":])[A-Za-z0-9]{12}(?=\")|(?<=\xe2\x80\xa6)[A-Za-z0-9]{4}"  # of keys, their public ids and their ends
    rb'|(?<=digest":")[^"]+|(?<=last4":")[^"]+|(?<=sha256":")[^"]+'
    rb'|(?<=encrypted_content":")[^"]+'
    rb"|(?<=try again in )[0-9hms.]+s\b"  # how long
    rb"|\d{10}(?!\d)|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?"  # moments
)
"""What no two servers say alike."""
WRAPPED = re.compile(rb'(?<=":")(?:eyJ|W3si)[A-Za-z0-9+/]+=*(?=")')
"""JSON in base64: how an export says what is kept as bytes. Moments are made up in there too."""
ADMIN = bearer(ADMIN_TOKEN)


@dataclass(frozen=True)
class Told:
    """An answer and what was noted of it, without what differs between any two."""

    status: int
    headers: dict[str, str]
    body: bytes
    noted: list[dict[str, Any]]


@dataclass(frozen=True)
class Both:
    """Two servers on two copies of one database, which are asked the same in the same order."""

    direct: Running
    layered: Running
    world: World

    async def ask(self, request: Request) -> tuple[Told, Told]:
        """What the one says and what the other says."""
        return await _told(self.direct, request), await _told(self.layered, request)

    async def differences(self, requests: Iterable[Request]) -> tuple[dict[str, tuple[Told, Told]], Counter[int]]:
        """The answers that are not the same, by their requests; and how often each status was told."""
        differing, statuses = {}, Counter[int]()
        for request in requests:
            told, expected = await self.ask(request)
            statuses[told.status] += 1
            if told != expected:
                differing[str(request)] = told, expected
        return differing, statuses

    def good(self, operation: Operation) -> Request:
        """By whom it is for, of what is theirs."""
        token = self.world.tokens["administrator" if is_for_admin(operation) else "owner"]
        return as_is(DOCUMENT, operation, self.world.own, token)


async def _told(running: Running, request: Request) -> Told:
    with capture_logs() as lines:
        answer = await ask(running.server.config.loaded_app, running.server.lifespan.state, request)
        await running.quiet()  # what it cost is settled, also where the next request tells of it
    noted = [{name: line.get(name) for name in NOTED} for line in lines if line["event"] == "request"]
    body = _without_what_is_made_up(answer.body)
    if answer.headers.get("content-type", "").startswith("text/plain; version"):
        body = re.sub(rb" [0-9.e+-]+\n", b"\n", body)  # how much of each thing, and how long it took
    untold = UNTOLD | ({"content-length"} if body != answer.body else set())
    headers = {
        name: "<time>" if name in TIMED else value for name, value in answer.headers.items() if name not in untold
    }
    return Told(answer.status, headers, body, noted)


@lru_cache(maxsize=1024)
def _without_what_is_made_up(body: bytes) -> bytes:
    """Looked through once: the two servers mostly say the same, and the same to many requests."""
    return MADE_UP.sub(b"<id>", WRAPPED.sub(lambda wrapped: b64decode(wrapped[0]), body))


@pytest.fixture
async def both(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Both]:
    files = [tmp_path / name / "test.db" for name in ("direct", "layered")]
    for file in files:
        file.parent.mkdir()
    shutil.copy(migrated_file, files[0])
    async with serving(f"sqlite:///{files[0]}", files[0].parent) as running, world_on(running) as made:
        world = made
        # Each server that a test serves has an account of this name made for it.
        await made.client.put(f"/api/accounts/{running.account_id}", json={"name": "first"}, headers=ADMIN)
    shutil.copy(files[0], files[1])
    urls = [f"sqlite:///{file}" for file in files]
    toml = f"[relay]\nunmetered = {list(UNMETERED)}\n"
    async with (
        serving(urls[0], files[0].parent, toml=toml) as direct,
        serving(urls[1], files[1].parent, toml=toml, DIRECT_ROUTING="off") as layered,
    ):
        yield Both(direct, layered, world)


async def test_every_operation_lets_in_and_refuses_the_same_callers(both: Both) -> None:
    asked = [
        replace(both.good(operation), headers=bearer(both.world.tokens[who]), body=b"")
        for operation in EVERY
        for who in IDENTITIES
    ]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses.keys() >= {200, 400, 401, 403, 404, 501}


async def test_every_operation_refuses_the_same_requests(both: Both) -> None:
    asked = [request for each in EVERY for request in wrong(DOCUMENT, each, both.good(each))]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses.keys() >= {200, 400, 404, 413, 415, 501}


async def test_every_path_is_found_and_missed_by_the_same_requests(both: Both) -> None:
    by_path: dict[str, list[Operation]] = {}
    for each in EVERY:
        by_path.setdefault(each.path, []).append(each)
    asked = [
        request
        for operations in by_path.values()
        for request in misplaced(both.good(operations[0]), {each.method for each in operations})
    ]

    differing, statuses = await both.differences(asked)

    assert differing == {}
    assert statuses.keys() >= {200, 400, 404, 405, 501}


async def test_every_operation_gives_the_same_answer_to_a_good_request(both: Both) -> None:
    differing, statuses = await both.differences(both.good(each) for each in EVERY)

    assert differing == {}
    assert statuses.keys() >= {200, 201, 404, 501}
    assert 500 not in statuses
