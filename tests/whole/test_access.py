"""Each operation of the document against everyone who may ask: nobody gets what is another's, nor learns of it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from llm_backend.contract.operations import Operation
from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.serving import Running
from tests.whole import access
from tests.whole.access import IDENTITIES, OWNED, PUBLIC, World, demanded, names, told
from tests.whole.good_requests import BODIES, EXISTING, bearer, every_operation, good_request, in_order, is_for_admin
from tests.whole.standing import ADMIN_TOKEN

SERVED = [operation for operation in every_operation() if operation.is_served]
MISSING = {
    "chat_id": "9007199254740991",
    "completion_id": "chatcmpl-missing",
    "conversation_id": "conv_" + "0" * 27,
    "item_id": "msg_" + "0" * 27,
    "key_id": "0" * 12,
    "response_id": "resp_missing",
    "subject": "key:" + "0" * 12,
}
THERE = EXISTING | {"chat_id": "1", "key_id": "0" * 12}
ASSIGNED: dict[str, Json] = {"role": "admin", "account_id": 1, "used_tokens": 0, "id": 1}
"""What no client may set, unless the operation is for that."""


@pytest.fixture
async def world(running: Running) -> AsyncIterator[World]:
    async with access.world_on(running) as made:
        yield made


async def test_everyone_gets_what_the_documents_security_says_and_who_is_refused_changes_nothing(world: World) -> None:
    # Row 81
    wanted = {(each.id, who): demanded(each, who) for each in SERVED for who in IDENTITIES}
    cells = [(each, who) for each in in_order(SERVED) for who in IDENTITIES]
    refused = [(each, who) for each, who in cells if wanted[each.id, who] >= 400]
    before = await world.rows()

    refusals = await access.all_of(world.ask(who, good_request(each, world.own)) for each, who in refused)
    after = await world.rows()
    statuses = {(each.id, who): told.status_code for (each, who), told in zip(refused, refusals, strict=True)}
    for each, who in cells:
        if (each.id, who) not in statuses:
            statuses[each.id, who] = (await world.ask(who, good_request(each, world.own))).status_code
            await world.running.quiet()

    assert statuses == wanted
    assert after == before
    telling = [
        (each.id, who, told.text)
        for (each, who), told in zip(refused, refusals, strict=True)
        if told.status_code != 404 and not access.is_refusal(each, told)
    ]
    assert telling == []


async def test_what_is_anothers_is_answered_byte_for_byte_as_what_is_not_there(world: World) -> None:
    # Row 81
    cases = [(each, name) for each in SERVED for name in sorted(access.owned(each))]
    before = await world.rows()

    answers = [
        [told(await world.ask_for(each, name, value), value) for value in (world.foreign[name], MISSING[name])]
        for each, name in cases
    ]

    for (each, name), (foreign, missing) in zip(cases, answers, strict=True):
        assert foreign == missing, f"{name} of {each}"
    assert await world.rows() == before
    assert {name for _, name in cases} == OWNED


@ON_SQLITE
async def test_an_account_is_never_told_of_another(world: World) -> None:
    by_key = [each for each in SERVED if "key" in {name for way in each.fields["security"] for name in way}]
    own = [each for each in by_key if each.method == "get"]

    answers = {each.id: await world.ask("another account", good_request(each, world.foreign)) for each in own}
    to_owner = [(await world.ask("owner", good_request(each, world.own))).text for each in own]

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert [name for name, answer in answers.items() if any(mark in answer.text for mark in world.marks)] == []
    # The marks are good for something: whom they are of is told.
    assert any("secret of the owner" in text for text in to_owner)
    assert any(world.own["key_id"] in text for text in to_owner)


def test_every_parameter_is_known_to_name_what_is_an_accounts_or_nobodys() -> None:
    # A new one belongs in one of the two sets, and is tried by the tests above if it is an account's.
    found = {name for operation in SERVED for name in names(operation, "path")}
    found |= {name for operation in SERVED for name in names(operation, "query") if name.endswith("id")}

    assert found == OWNED | PUBLIC


def test_no_body_sets_what_is_not_the_clients_to_set(client: httpx.Client) -> None:
    # Row 82
    ours = [each for each in SERVED if each.path.startswith("/api/") and "requestBody" in each.fields]
    tried = [(each, name, body) for each in ours for name in ASSIGNED for body in _assigning(each, name)]

    answers = [
        client.request(each.method, good_request(each, THERE).path, json=body, headers=_headers(each))
        for each, _, body in tried
    ]

    accepted = [
        (each.id, name, answer.text)
        for (each, name, _), answer in zip(tried, answers, strict=True)
        if answer.status_code != 400 or f"{name}'" not in answer.json()["error"]
    ]
    assert accepted == []
    assert {each.id for each, _, _ in tried} == {each.id for each in ours}
    assert len(ours) >= 10


def _assigning(operation: Operation, name: str) -> Iterator[Json]:
    """A good body with `name` in each of its objects in turn, where that is nothing the operation takes."""
    schema = operation.fields["requestBody"]["content"]["application/json"]["schema"]
    good = BODIES.get(operation.id, {}) | ({"model_args": {}} if "model_args" in schema["properties"] else {})
    if name not in schema["properties"]:
        yield good | {name: ASSIGNED[name]}
    for field, value in good.items():
        if isinstance(value, dict):
            yield good | {field: value | {name: ASSIGNED[name]}}
        if isinstance(value, list) and isinstance(value[0], dict):
            yield good | {field: [value[0] | {name: ASSIGNED[name]}]}


def _headers(operation: Operation) -> dict[str, str]:
    return bearer(ADMIN_TOKEN) if is_for_admin(operation) else {}
