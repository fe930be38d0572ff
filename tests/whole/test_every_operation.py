"""Each operation of the document is asked over the socket: by everyone, with everything, and none is forgotten."""

from collections.abc import Iterator

import httpx
import pytest

from llm_backend.contract.operations import Operation
from llm_backend.domain.keys import public_id_of
from tests.whole.good_requests import (
    BODIES,
    EXISTING,
    HELLO,
    bearer,
    every_operation,
    good_request,
    in_order,
    is_for_admin,
    is_for_everyone,
    is_plain,
)
from tests.whole.standing import ADMIN_TOKEN, Standing

ADMIN = bearer(ADMIN_TOKEN)
WRONG_KEY = "sk-lb-" + "A" * 16 + "B" * 48


@pytest.fixture(scope="module")
def every() -> list[Operation]:
    return every_operation()


@pytest.fixture
def stranger(server: Standing) -> Iterator[httpx.Client]:
    """Talks to the server without any key."""
    with httpx.Client(base_url=server.root) as client:
        yield client


def asked(
    client: httpx.Client, operation: Operation, token: str | None = None, existing: dict[str, str] = EXISTING
) -> httpx.Response:
    """The answer to a request of the operation, complete as far as it must be to be told apart."""
    request = good_request(operation, existing)
    return client.request(request.method, request.path, headers=bearer(token), **request.body)


def is_envelope(answer: httpx.Response) -> bool:
    """Whether it is OpenAI's, and carries what every answer carries."""
    error = answer.json()["error"]
    return (
        set(error) == {"message", "type", "param", "code"}
        and 0 < len(error["message"]) <= 300
        and answer.headers["content-type"] == "application/json"
        and {"x-request-id", "openai-processing-ms", "openai-version"} <= set(answer.headers)
    )


def test_what_is_not_served_says_so_in_the_envelope(client: httpx.Client, every: list[Operation]) -> None:
    unserved = [operation for operation in every if not operation.is_answered]

    answers = {operation.id: asked(client, operation) for operation in unserved}

    told = {name: (answer.status_code, answer.json()["error"]["code"]) for name, answer in answers.items()}
    assert told == dict.fromkeys(told, (501, "not_served"))
    assert [name for name, answer in answers.items() if not is_envelope(answer)] == []
    assert [name for name, answer in answers.items() if answer.headers["x-should-retry"] != "false"] == []
    assert len(told) == len(unserved) > 320


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_what_is_not_served_says_so_whatever_the_body(
    client: httpx.Client, every: list[Operation], content_type: str
) -> None:
    writing = [each for each in every if not each.is_answered and each.method == "post" and "{" not in each.path]

    told = {
        each.id: client.post(each.path, content=b"{", headers={"content-type": content_type}).json()["error"]["code"]
        for each in writing
    }

    assert told == dict.fromkeys(told, "not_served")
    assert {"createVideo", "createBatch"} <= set(told)


def test_what_is_not_served_says_so_however_large_the_body(client: httpx.Client) -> None:
    answer = client.post("/v1/videos", files={"input_reference": ("a.png", b"a" * 3 * 2**20)}, data={"prompt": "a"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_served")


def test_what_was_withdrawn_is_answered_as_today_or_names_what_to_ask_instead(client: httpx.Client) -> None:
    engine = client.post("/v1/engines/echo/completions", json={"prompt": "Hello"})
    edit = client.post("/v1/edits", json={"model": "text-davinci-edit-001", "instruction": "Mend it."})

    assert engine.json()["model"] == "echo"
    assert client.get("/v1/engines").json() == client.get("/v1/models").json()
    assert (edit.status_code, edit.json()["error"]["code"]) == (501, "not_served")
    assert "createChatCompletion" in edit.json()["error"]["message"]


def test_what_is_not_served_asks_for_the_key_first(stranger: httpx.Client) -> None:
    assert stranger.post("/v1/videos", files={"file": ("a.txt", b"a" * 3 * 2**20)}).status_code == 401


def test_what_is_served_answers_a_good_request(client: httpx.Client, every: list[Operation]) -> None:
    served = in_order([operation for operation in every if operation.is_served])
    made = client.post("/api/accounts", json={"name": "passing"}, headers=ADMIN).json()
    user = client.post("/api/users", json={"code": "passing"}, headers=ADMIN).json()
    chat = client.post("/api/chats", json={"name": "homework"}, headers=bearer(made["api_key"])).json()
    body = BODIES["createChatCompletion"] | {"store": True}
    kept = client.post("/v1/chat/completions", json=body).json()
    talk = client.post("/v1/conversations", json={"items": HELLO}).json()["id"]
    said = client.get(f"/v1/conversations/{talk}/items").json()
    second = client.post("/v1/responses", json=BODIES["createResponse"]).json()["id"]
    # Only what was made in the background may be cancelled when it has ended.
    first = client.post("/v1/responses", json=BODIES["createResponse"] | {"background": True}).json()["id"]
    existing = EXISTING | {
        "conversation_id": talk,
        "item_id": said["last_id"],
        "account_id": str(made["id"]),
        "user_id": str(user["id"]),
        "key_id": public_id_of(made["api_key"]),
        "chat_id": str(chat["id"]),
        "completion_id": kept["id"],
        "response_id": first,
        "response_id of deleteBetaResponse": second,
    }
    tokens = {
        operation.id: ADMIN_TOKEN if is_for_admin(operation) else made["api_key"]
        for operation in served
        if is_plain(operation) or is_for_admin(operation)
    }

    told = {
        operation.id: asked(client, operation, tokens.get(operation.id), existing).status_code for operation in served
    }

    created = {"createAccount", "createAccounts", "createUser", "createKey", "rotateKey", "createChat", "askChat"}
    assert told == {name: 201 if name in created else 200 for name in told}
    assert len(told) == len(served)


@pytest.mark.parametrize("token", [None, WRONG_KEY, "sk-other", ADMIN_TOKEN])
def test_no_account_is_served_without_a_key_of_one(
    stranger: httpx.Client, every: list[Operation], token: str | None
) -> None:
    by_key = [operation for operation in every if [*operation.fields["security"], {}][0].keys() == {"key"}]
    for_accounts = [operation for operation in by_key if not is_plain(operation)]

    answers = {operation.id: asked(stranger, operation, token) for operation in for_accounts}

    told = {name: (answer.status_code, answer.json()["error"]["code"]) for name, answer in answers.items()}
    assert told == dict.fromkeys(told, (401, "invalid_api_key"))
    assert [name for name, answer in answers.items() if not is_envelope(answer)] == []
    assert len(told) > 370


@pytest.mark.parametrize(("token", "status"), [(None, 401), (WRONG_KEY, 401), ("sk-other", 401), (ADMIN_TOKEN, 403)])
def test_no_chat_is_served_without_the_key_of_its_account(
    stranger: httpx.Client, every: list[Operation], token: str | None, status: int
) -> None:
    by_key = [operation for operation in every if [*operation.fields["security"], {}][0].keys() == {"key"}]

    answers = [asked(stranger, operation, token) for operation in by_key if is_plain(operation)]

    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(status, "Access Denied")}


def test_a_key_without_the_scope_may_not_do_what_asks_for_one(
    stranger: httpx.Client, every: list[Operation], powerless_key: str
) -> None:
    for_accounts = [operation for operation in every if "key" in [*operation.fields["security"], {}][0]]

    told = {operation.id: asked(stranger, operation, powerless_key).status_code for operation in for_accounts}

    assert told == {operation.id: 403 if operation.fields["security"][0]["key"] else 501 for operation in for_accounts}
    assert {told[operation.id] for operation in for_accounts if operation.is_served} == {403}


@pytest.mark.parametrize("token", [None, WRONG_KEY, "wrong"])
def test_what_is_the_administrators_is_for_nobody_else(
    stranger: httpx.Client, every: list[Operation], token: str | None
) -> None:
    for_admin = [operation for operation in every if is_for_admin(operation)]

    answers = {operation.id: asked(stranger, operation, token) for operation in for_admin}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert {answer.headers["www-authenticate"] for answer in answers.values()} == {"Bearer"}
    assert len(answers) > 25
    plain = {name: answer.json() for name, answer in answers.items() if name != "getMetrics"}
    assert plain == {name: {"error": "Access Denied"} for name in plain}


def test_an_accounts_key_is_no_admin_token(client: httpx.Client, every: list[Operation]) -> None:
    for_admin = [operation for operation in every if is_for_admin(operation)]

    answers = {operation.id: asked(client, operation) for operation in for_admin}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 403)
    plain = {name: answer.json() for name, answer in answers.items() if name != "getMetrics"}
    assert plain == {name: {"error": "Access Denied"} for name in plain}


def test_what_is_public_asks_for_nothing(stranger: httpx.Client, every: list[Operation]) -> None:
    public = [operation for operation in every if is_for_everyone(operation)]

    told = {operation.id: asked(stranger, operation).status_code for operation in public}

    assert told == dict.fromkeys(["getRoot", "getHealth", "getReadiness", "getOpenapi", "getDocs", "getDocsAsset"], 200)
