"""Each relayed operation, as the contract has it: what is the account's own goes up, and nothing else does."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import pytest_asyncio

from llm_backend.contract.documents import merge, resolve
from llm_backend.contract.errands import Errands
from llm_backend.contract.operations import Operation, in_turn
from llm_backend.contract.policy import read_policy
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.errands import Errand
from llm_backend.domain.key_text import make_key, public_id_of
from llm_backend.errors import Json
from llm_backend.resources import resource
from llm_backend.storage.upstream_objects import UpstreamObject
from tests.faulty import FaultyUpstream
from tests.serving import Running, serving
from tests.whole.examples import FORM, body_of, form_of
from tests.whole.good_requests import bearer

POLICY = read_policy(resource("spec") / "policy.yaml")
UNMETERED = tuple(tag for tag, ruling in POLICY.tags.items() if ruling.get("unmetered"))
DOCUMENT = merge(resource("spec"), unmetered=UNMETERED)
ERRANDS = Errands(DOCUMENT)
OWN = {name: f"own-{kind.replace('.', '-')}" for name, kind in {**ERRANDS.naming.ids, **ERRANDS.naming.holders}.items()}
"""What the account may name under each name."""


@dataclass(frozen=True)
class Case:
    """One relayed operation."""

    operation: Operation
    errand: Errand

    def __str__(self) -> str:
        return self.operation.id

    @property
    def media(self) -> Json:
        """The schemas of its bodies, by media type."""
        return resolve(DOCUMENT, self.operation.fields.get("requestBody", {})).get("content", {})

    @property
    def takes_json(self) -> bool:
        return not self.media or "application/json" in self.media

    def arguments(self, **other: str) -> dict[str, str]:
        """What its path names: the account's own, but for `other`."""
        return {
            each.argument: f"own-{each.kind or each.name}".replace(".", "-") for each in self.errand.path_ids
        } | other

    @property
    def body(self) -> Json:
        """The smallest JSON body; None where it takes none."""
        return body_of(DOCUMENT, self.operation, OWN)

    @property
    def answer(self) -> Json:
        """An answer that tells of what was made."""
        told: Json = {"object": "thing", "data": []}
        for place in self.errand.makes:
            *above, last = place.split(".")
            inner = told
            for name in above:
                made: Json = {}
                inner[name.removesuffix("[]")] = [made] if name.endswith("[]") else made
                inner = made
            inner[last] = "made-1"
        return told


EVERY = [Case(each, ERRANDS.of(each)) for each in in_turn(DOCUMENT) if each.is_relayed]
CASES = [each for each in EVERY if each.takes_json and each.errand.gives != "events"]
NAMING_PATHS = [
    pytest.param(case, each.argument, id=f"{case}-{each.name}")
    for case in CASES
    for each in case.errand.path_ids
    if each.kind is not None
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream() as faulty:
        yield faulty


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relaying(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory, upstream: FaultyUpstream
) -> AsyncIterator[Running]:
    """A server that relays all there is, on whose upstream two accounts have one thing of each kind."""
    folder = tmp_path_factory.mktemp("relaying")
    shutil.copy(migrated_file, folder / "relaying.db")
    toml = f"[relay]\nunmetered = {list(UNMETERED)}\n"
    url = f"sqlite:///{folder / 'relaying.db'}"
    key = "sk-upstream-canary-0123456789abcdef"
    async with serving(url, folder, toml=toml, OPENAI_BASE_URL=upstream.base_url, OPENAI_API_KEY=key) as running:
        other = await Accounts(running.database, SystemClock()).create("another")
        kinds = {each.kind for case in EVERY for each in case.errand.path_ids if each.kind}
        kinds |= {each.kind for case in EVERY for each in case.errand.query if each.kind}
        kinds |= {*ERRANDS.naming.ids.values(), *ERRANDS.naming.holders.values()}
        owners = {"own": running.account_id, "foreign": other.id}
        for whose, account_id in owners.items():
            objects = [
                UpstreamObject(account_id, "openai", kind, f"{whose}-{kind.replace('.', '-')}", None) for kind in kinds
            ]
            await running.services.relaying.ownership.record(objects)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(relaying: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=relaying.base_url, headers=relaying.headers) as client:
        yield client


async def ask(client: httpx.AsyncClient, case: Case, arguments: dict[str, str], **also: Any) -> httpx.Response:
    """The answer to the smallest request of the operation."""
    body = also.pop("json", case.body)
    return await client.request(case.errand.method, case.errand.url(arguments), json=body, **also)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_request_for_what_is_ones_own_goes_up_as_it_was_validated(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, case: Case
) -> None:
    upstream.forget()
    upstream.answers(case.answer, headers={"x-internal": "1", "openai-processing-ms": "7"})
    if case.errand.forgets:
        made = UpstreamObject(relaying.account_id, "openai", case.errand.path_ids[-1].kind or "", "gone-1", None)
        await relaying.services.relaying.ownership.record([made])
        arguments = case.arguments(**{case.errand.path_ids[-1].argument: "gone-1"})
    else:
        arguments = case.arguments()

    answer = await ask(client, case, arguments, params={"limit": "3", "unknown": "1"})

    assert answer.status_code == 200, answer.text
    assert "x-internal" not in answer.headers
    received = upstream.requests[0]
    path, _, query = received.path.partition("?")
    assert (received.method, path) == (case.errand.method, f"/v1{case.errand.url(arguments)}")
    sent = dict(parse_qsl(query))
    declared = {each.name for each in case.errand.query}
    assert sent == ({"limit": "100" if case.errand.lists else "3"} if "limit" in declared else {})
    assert (received.json if received.body else None) == case.body
    if case.errand.lists is None:
        assert answer.content in (b"", *[upstream_body(case)])
    if case.errand.gives == "binary":
        assert answer.headers["content-disposition"] == "attachment"
        assert "sandbox" in answer.headers["content-security-policy"]


def upstream_body(case: Case) -> bytes:
    return httpx.Response(200, json=case.answer).content


@pytest.mark.parametrize(("case", "argument"), NAMING_PATHS)
async def test_what_is_anothers_is_not_there_in_a_path(
    client: httpx.AsyncClient, upstream: FaultyUpstream, case: Case, argument: str
) -> None:
    upstream.forget()
    kind = next(each.kind for each in case.errand.path_ids if each.argument == argument) or ""
    foreign = f"foreign-{kind.replace('.', '-')}"

    told = [await ask(client, case, case.arguments(**{argument: each})) for each in (foreign, "unknown-1")]

    assert [answer.status_code for answer in told] == [404, 404]
    assert told[0].content == told[1].content
    assert told[0].json()["error"]["param"] == argument
    assert upstream.requests == []


WITH_BODY = [case for case in CASES if case.body is not None]


@pytest.mark.parametrize("case", WITH_BODY, ids=str)
async def test_what_is_anothers_is_not_there_anywhere_in_a_body(
    client: httpx.AsyncClient, upstream: FaultyUpstream, case: Case
) -> None:
    upstream.forget()
    body = case.body
    odd = {"odd": [{"vector_store_ids": ["own-vector_stores", "foreign-vector_stores"]}]}

    answer = await ask(client, case, case.arguments(), json=body | odd)

    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "odd[0].vector_store_ids[1]")
    assert upstream.requests == []


@pytest.mark.parametrize("case", [case for case in CASES if case.errand.lists], ids=str)
async def test_a_list_of_everybodys_shows_ones_own(
    client: httpx.AsyncClient, upstream: FaultyUpstream, case: Case
) -> None:
    upstream.forget()
    kind = (case.errand.lists or "").replace(".", "-")
    upstream.answers({"data": [{"id": "foreign-1"}, {"id": f"own-{kind}", "n": 1}], "has_more": True})
    upstream.answers({"data": [{"id": f"foreign-{kind}"}], "has_more": False})

    answer = await ask(client, case, {}, params={"after": f"own-{kind}"})
    refused = await ask(client, case, {}, params={"after": f"foreign-{kind}"})

    shown = [{"id": f"own-{kind}", "n": 1}]
    assert answer.json() == {
        "object": "list", "data": shown, "first_id": f"own-{kind}", "last_id": f"own-{kind}", "has_more": False,
    }  # fmt: skip
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "after")


@pytest.mark.parametrize(
    "case", [case for case in EVERY if FORM in case.media and case.errand.gives == "json"], ids=str
)
async def test_a_form_goes_up_with_its_files(client: httpx.AsyncClient, upstream: FaultyUpstream, case: Case) -> None:
    upstream.forget()
    upstream.answers(case.answer)
    data, files = form_of(DOCUMENT, case.operation, OWN)
    names = {name: (None, value) for name, value in data.items()} | dict.fromkeys(
        files, ("ä.txt", b"\x00content", "text/plain")
    )

    answer = await client.post(case.errand.url(case.arguments()), files=names)

    assert answer.status_code == 200, answer.text
    [received] = upstream.requests
    assert received.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(received.headers["content-length"]) == len(received.body)
    assert (b"\x00content" in received.body) == bool(files)


async def test_a_form_names_nothing_of_anothers(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    upstream.forget()

    answer = await client.post("/containers/own-containers/files", files={"file_id": (None, "foreign-files")})

    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "file_id")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("nothing", 401),
        ("an unknown key", 401),
        ("garbage", 401),
        ("administrator", 401),
        ("a revoked key", 401),
        ("a key for models only", 403),
    ],
)
async def test_whoever_may_not_ask_is_told_so_and_nobody_else_is_asked(
    relaying: Running, upstream: FaultyUpstream, who: str, status: int
) -> None:
    upstream.forget()
    keys = relaying.services.keys
    narrow, revoked = await keys.create(relaying.account_id, scopes=("models",)), await keys.create(relaying.account_id)
    await keys.revoke(public_id_of(revoked.text))
    tokens = {
        "nothing": None,
        "an unknown key": make_key(),
        "garbage": "' OR 1=1 --",
        "administrator": relaying.admin_token,
        "a revoked key": revoked.text,
        "a key for models only": narrow.text,
    }

    async with httpx.AsyncClient(base_url=relaying.base_url, headers=bearer(tokens[who])) as client:
        told = {case.operation.id: (await ask(client, case, case.arguments())).status_code for case in CASES}

    assert told == dict.fromkeys(told, status)
    assert upstream.requests == []


async def test_another_account_finds_nothing_where_a_path_names_something(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    # Another one than owns the foreign things: it has nothing at all.
    stranger = await Accounts(relaying.database, SystemClock()).create("a stranger")
    key = await relaying.services.keys.create(stranger.id)
    named = [case for case in CASES if any(each.kind for each in case.errand.path_ids)]
    upstream.forget()

    async with httpx.AsyncClient(base_url=relaying.base_url, headers=bearer(key.text)) as client:
        told = {case.operation.id: (await ask(client, case, case.arguments())).status_code for case in named}

    assert told == dict.fromkeys(told, 404)
    assert upstream.requests == []
