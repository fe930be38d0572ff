"""Names lead to handlers, and what does not fit is refused before the first request."""

import logging
from pathlib import Path

import pytest
from connexion.uri_parsing import OpenAPIURIParser

from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import python_name
from llm_backend.contract.routing import HandlerResolver, resolver
from llm_backend.errors import Json
from tests.contract.contracts import HANDLERS, handlers, openai_document, spec_folder
from tests.contract.serving import Served


@pytest.fixture
def document(tmp_path: Path) -> Json:
    return merge(spec_folder(tmp_path / "spec"))


@pytest.fixture
def served(document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(document, handlers(monkeypatch, tmp_path))


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("createChatCompletion", "create_chat_completion"),
        ("getOpenapi", "get_openapi"),
        ("list-projects", "list_projects"),
        ("include[]", "include"),
        ("vector_stores", "vector_stores"),
    ],
)
def test_names_of_the_document_become_names_of_python(name: str, python: str) -> None:
    assert python_name(name) == python


async def test_a_handler_gets_the_body_that_was_validated(served: Served) -> None:
    async with served.client() as client:
        answer = await client.post("/v1/things", json={"name": "chair", "unknown": [1]}, headers={"x-account": "a"})

    assert answer.json() == {"name": "chair", "account": "a"}
    assert served.calls[0].body == {"name": "chair", "unknown": [1]}


async def test_a_handler_gets_its_parameters_typed_and_by_name(served: Served) -> None:
    async with served.client() as client:
        answer = await client.get("/v1/things/t-1?include[]=parts&include[]=price&other=1")

    assert answer.json() == {"id": "t-1", "include": ["parts", "price"]}


async def test_a_parameter_that_was_not_sent_leaves_the_handlers_default(served: Served) -> None:
    async with served.client() as client:
        answer = await client.get("/v1/things/t-1")

    assert answer.json() == {"id": "t-1", "include": []}


async def test_a_handler_gets_its_parameters_from_us_even_where_connexion_reads_paths_too(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(document, handlers(monkeypatch, tmp_path), uri_parser=OpenAPIURIParser)

    async with served.client() as client:
        answer = await client.get("/v1/things/t-1?include[]=parts")

    assert answer.json() == {"id": "t-1", "include": ["parts"]}


async def test_the_call_knows_its_operation(served: Served) -> None:
    async with served.client() as client:
        await client.get("/v1/things/t-1")

    assert served.calls[0].operation_id == "getThing"


async def test_an_operation_that_is_not_served_says_so_whatever_the_body(served: Served) -> None:
    async with served.client() as client:
        answer = await client.post("/v1/stuff", content=b"{not json", headers={"content-type": "text/plain"})

    assert answer.json()["raised"] == "NotServed"
    assert answer.json()["message"] == "createStuff is not served here. No stuff here. Use things."


async def test_an_operation_that_is_not_served_asks_for_the_key_first(served: Served) -> None:
    async with served.client() as client:
        del client.headers["authorization"]
        answer = await client.post("/v1/stuff")

    assert answer.json()["raised"] == "Unauthenticated"


async def test_connexion_has_nothing_to_warn_of(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    async with served.client() as client:
        await client.post("/v1/things", json={"name": "chair"})
        await client.get("/v1/things/t-1")
        await client.post("/v1/stuff", json={})

    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_public_operation_asks_for_no_key(served: Served) -> None:
    async with served.client() as client:
        del client.headers["authorization"]
        answer = await client.get("/healthz", headers={"content-type": "application/json"})

    assert answer.text == "well"


@pytest.mark.parametrize("thing", ["a%00b", "9" * 5000, "%F0%9F%98%80", "a%2Cb"])
async def test_an_id_that_cannot_be_one_is_not_found(served: Served, thing: str) -> None:
    async with served.client() as client:
        answer = await client.get(f"/v1/things/{thing}")

    assert (answer.json()["raised"], answer.json()["param"]) == ("NotFound", "thing_id")


async def test_a_body_that_is_needed_and_missing_is_asked_for(served: Served) -> None:
    async with served.client() as client:
        answer = await client.post("/v1/things", headers={"content-type": "application/json"})

    assert (answer.json()["raised"], answer.json()["code"]) == ("InvalidRequest", "missing_required_parameter")


async def test_the_field_that_is_wrong_is_named(served: Served) -> None:
    async with served.client() as client:
        answer = await client.post("/v1/things", json={"name": 5})

    assert (answer.json()["param"], answer.json()["code"]) == ("name", "invalid_type")


def refusal(document: Json, package: str) -> str:
    with pytest.raises(ContractError) as refused:
        resolver(document, package)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_served_operation_without_a_handler_is_refused(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = handlers(monkeypatch, tmp_path, service="async def get_docs(call): ...")

    assert f"getHealth (GET /healthz) is served, but {package}.service has no get_health" in refusal(document, package)


def test_a_tag_without_its_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = openai_document()
    openai["paths"]["/things"]["post"]["tags"] = ["ghosts"]
    ghosts = {"ghosts": {"fate": "served", "scope": "inference"}}
    policy = {
        "tags": ghosts
        | {"things": {"fate": "served", "scope": "inference"}, "service": {"fate": "served", "access": "public"}}
    }
    policy["tags"]["stuff"] = {"fate": "not_served", "scope": "inference", "reason": "No."}
    document = merge(spec_folder(tmp_path / "spec", openai=openai, policy=policy))

    assert "there is no module" in refusal(document, handlers(monkeypatch, tmp_path))


def test_a_module_that_fails_to_import_fails_as_itself(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = handlers(monkeypatch, tmp_path, things="import a_package_that_is_not_there")

    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        resolver(document, package)


def test_a_handler_that_is_no_operation_is_refused(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = HANDLERS["things"] + "\nasync def create_thign(call): ...\n"
    package = handlers(monkeypatch, tmp_path, things=extra)

    assert f"{package}.things.create_thign is no operation" in refusal(document, package)


def test_a_handler_of_an_operation_that_is_not_served_is_refused(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = handlers(monkeypatch, tmp_path, stuff="async def create_stuff(call): ...")

    assert f"{package}.stuff.create_stuff is no operation" in refusal(document, package)


def test_a_handler_that_asks_for_what_its_operation_has_not_is_refused(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = HANDLERS["service"].replace("get_health(call)", "get_health(call, body)")
    package = handlers(monkeypatch, tmp_path, service=asking)

    assert "getHealth (GET /healthz) asks for 'body', which the operation does not have" in refusal(document, package)


def test_private_and_imported_functions_are_no_handlers(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = "from asyncio import sleep\nasync def _own(): ...\ndef plain(): ...\n" + HANDLERS["things"]

    assert isinstance(resolver(document, handlers(monkeypatch, tmp_path, things=extra)), HandlerResolver)


def test_handlers_of_what_was_left_out_may_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = merge(spec_folder(tmp_path / "spec"), docs=False)

    assert isinstance(resolver(document, handlers(monkeypatch, tmp_path)), HandlerResolver)
