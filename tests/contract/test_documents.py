"""Many documents become one, or the start is refused with a line."""

from importlib import metadata
from pathlib import Path

import pytest

from llm_backend.contract.documents import merge, refuse_unknown_authenticators
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import operations
from llm_backend.errors import Json
from llm_backend.resources import resource
from tests.contract.contracts import OK, POLICY, SERVICE, openai_document, spec_folder, thing_id


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "spec"


def by_id(document: Json) -> dict[str, Json]:
    return {operation.id: operation.fields for operation in operations(document)}


def extension(path: str, operation: Json, **components: Json) -> Json:
    return {"openapi": "3.1.0", "paths": {path: {"get": operation}}, "components": components}


def test_openais_paths_are_served_under_v1_and_extensions_where_they_say(spec: Path) -> None:
    document = merge(spec_folder(spec))

    assert set(document["paths"]) == {"/v1/things", "/v1/things/{thing_id}", "/v1/stuff", "/healthz", "/docs"}
    assert document["info"]["title"] == "llm-backend"


def test_each_operation_says_its_fate_and_security(spec: Path) -> None:
    found = by_id(merge(spec_folder(spec)))

    assert (found["createThing"]["x-fate"], found["createThing"]["security"]) == ("served", [{"key": ["inference"]}])
    assert (found["getHealth"]["x-fate"], found["getHealth"]["security"]) == ("served", [])
    assert found["createStuff"]["x-fate"] == "not_served"
    assert found["createStuff"]["x-reason"] == "No stuff here. Use things."


def test_whoever_reads_the_document_as_a_page_sees_what_is_not_served(spec: Path) -> None:
    document = merge(spec_folder(spec))

    names = [tag["name"] for tag in document["tags"]]
    marks = {tag["name"]: tag.get("description") for tag in document["tags"]}
    unserved = next(each for each in by_id(document).values() if each["x-fate"] == "not_served")
    assert names == ["service", "things", "stuff"]
    assert (marks["things"], marks["stuff"]) == (None, "not served")
    assert unserved["summary"] == "not served"
    assert unserved["description"] == unserved["x-reason"]
    assert "/v1" in document["info"]["description"]


def test_an_operations_entry_overrides_its_tags(spec: Path) -> None:
    found = by_id(merge(spec_folder(spec, policy={"operations": {"getHealth": {"access": "admin"}}})))

    assert found["getHealth"]["security"] == [{"admin": []}]


def test_an_extension_may_declare_its_security_itself(spec: Path) -> None:
    own = extension("/own", {"operationId": "getOwn", "tags": ["own"], "security": [{"key": ["models"]}]})
    policy = {"tags": POLICY["tags"] | {"own": {"fate": "not_served", "reason": "Not yet."}}}

    found = by_id(merge(spec_folder(spec, extensions={"own": own}, policy=policy)))

    assert found["getOwn"]["security"] == [{"key": ["models"]}]


def test_every_operation_answers_errors_in_one_shape(spec: Path) -> None:
    for operation in operations(merge(spec_folder(spec))):
        assert operation.fields["responses"]["default"] == {"$ref": "#/components/responses/Error"}


def test_an_extension_may_have_a_shape_of_its_own_for_errors(spec: Path) -> None:
    own = extension("/own", {"operationId": "getOwn", "tags": ["things"], "responses": dict(OK)})
    own["x-default-response"] = {"description": "Another shape."}

    found = by_id(merge(spec_folder(spec, extensions={"own": own})))

    assert found["getOwn"]["responses"]["default"] == {"description": "Another shape."}
    assert found["getThing"]["responses"]["default"] == {"$ref": "#/components/responses/Error"}


def test_components_of_one_name_are_kept_apart(spec: Path) -> None:
    reference = {"schema": {"$ref": "#/components/schemas/Thing"}}
    answer = {"200": {"description": "It.", "content": {"application/json": reference}}}
    own = extension("/own", {"operationId": "getOwn", "tags": ["things"], "responses": answer}, schemas={"Thing": {}})

    document = merge(spec_folder(spec, extensions={"own": own}))

    schemas = document["components"]["schemas"]
    assert schemas["own.Thing"] == {}
    assert "properties" in schemas["Thing"]
    content = by_id(document)["getOwn"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/own.Thing"}


def test_without_docs_the_document_does_not_speak_of_them(spec: Path) -> None:
    document = merge(spec_folder(spec), docs=False)

    assert "/docs" not in document["paths"]
    assert document["x-left-out"] == ["getDocs"]


def test_what_else_a_path_of_the_docs_does_stays(spec: Path) -> None:
    post = {"operationId": "createDocs", "tags": ["service"], "responses": OK}
    paths = SERVICE["paths"] | {"/docs": SERVICE["paths"]["/docs"] | {"post": post}}

    document = merge(spec_folder(spec, extensions={"service": SERVICE | {"paths": paths}}), docs=False)

    assert set(document["paths"]["/docs"]) == {"post"}


def test_without_a_shape_for_errors_none_is_made_up(spec: Path) -> None:
    service = {key: value for key, value in SERVICE.items() if key != "x-default-response"}

    found = by_id(merge(spec_folder(spec, extensions={"service": service})))

    assert "default" not in found["createThing"]["responses"]


def test_a_checkout_that_is_not_installed_has_version_0(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata.Distribution, "discover", lambda **_: iter(()))

    assert merge(spec_folder(spec))["info"]["version"] == "0"


def test_a_text_in_a_path_that_may_be_anything_is_refused(spec: Path) -> None:
    openai = openai_document()
    openai["paths"]["/things/{thing_id}"]["get"]["parameters"] = [{"$ref": "#/components/parameters/Id"}]
    openai["components"]["parameters"] = {"Id": thing_id() | {"schema": {"type": "string"}}}

    with pytest.raises(ContractError) as refused:
        merge(spec_folder(spec, openai=openai))

    assert str(refused.value) == (
        "The path parameter 'thing_id' of getThing (GET /v1/things/{thing_id}) has no pattern."
    )


def test_parameters_of_a_path_belong_to_each_of_its_operations(spec: Path) -> None:
    openai = openai_document()
    item = openai["paths"]["/things/{thing_id}"]
    item["parameters"], item["get"]["parameters"] = [thing_id()], []

    found = by_id(merge(spec_folder(spec, openai=openai)))

    assert [each["name"] for each in found["getThing"]["parameters"]] == ["thing_id"]


def test_configuration_of_an_upstream_is_no_parameter(spec: Path) -> None:
    properties = merge(spec_folder(spec))["components"]["schemas"]["Thing"]["properties"]

    assert properties["api_base"] is False
    assert properties["extra_body"] == {"type": ["object", "null"], "properties": {"api_base": False}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"operations": {"getThing": {"fate": "rumoured"}}},
            "getThing (GET /v1/things/{thing_id}) has the fate 'rumoured'",
        ),
        ({"operations": {"getThing": {"fat": "served"}}}, "an entry 'fat', which means nothing"),
        ({"operations": {"getThing": {"body": "moon"}}}, "a body of kind 'moon', which has no limit"),
        ({"operations": {"getThing": {"fate": "not_served"}}}, "gives no reason"),
        (
            {"operations": {"createThing": {"scope": "inferense"}}},
            "createThing (POST /v1/things) asks for the scope 'inferense'; a key may have inference, models",
        ),
        ({"operations": {"getHealth": {"access": "anyone"}}}, "getHealth (GET /healthz) has no security"),
        ({"tags": {"things": POLICY["tags"]["things"]}}, "has no fate in the policy, nor has its tag 'stuff'"),
        ({"tags": POLICY["tags"] | {"service": {"fate": "served"}}}, "has no security"),
        ({"operations": {"getThign": {"access": "admin"}}}, "an operation 'getThign', which no document describes"),
        ({"surprise": 1}, "policy.yaml is no policy"),
    ],
)
def test_a_policy_that_leaves_something_open_is_refused(spec: Path, change: Json, said: str) -> None:
    with pytest.raises(ContractError) as refused:
        merge(spec_folder(spec, policy=change))

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["getThing", "GetThing"])
def test_two_operations_may_not_share_an_id_not_even_but_for_case(spec: Path, name: str) -> None:
    twin = extension("/twin", {"operationId": name, "tags": ["things"]})

    with pytest.raises(
        ContractError, match=r"share an operationId: getThing \(GET /v1/things/{thing_id}\) and .* /twin"
    ):
        merge(spec_folder(spec, extensions={"twin": twin}))


def test_an_operation_without_an_id_is_refused(spec: Path) -> None:
    with pytest.raises(ContractError, match="GET /own has no operationId"):
        merge(spec_folder(spec, extensions={"own": extension("/own", {"tags": ["things"]})}))


def test_two_documents_may_not_describe_one_operation(spec: Path) -> None:
    twin = extension("/healthz", {"operationId": "getOther", "tags": ["things"]})

    with pytest.raises(ContractError, match="Two documents describe GET /healthz"):
        merge(spec_folder(spec, extensions={"a": twin}))


def test_a_reference_that_leads_nowhere_is_refused(spec: Path) -> None:
    openai = openai_document()
    del openai["components"]["schemas"]["Thing"]

    with pytest.raises(ContractError, match="refers to #/components/schemas/Thing, which does not exist"):
        merge(spec_folder(spec, openai=openai))


@pytest.mark.parametrize("file", ["openai.json", "policy.yaml", "extensions/service.yaml"])
def test_a_document_that_cannot_be_read_is_named_in_one_line(spec: Path, file: str) -> None:
    spec_folder(spec)
    (spec / file).write_text("{[\n")

    with pytest.raises(ContractError) as refused:
        merge(spec)

    assert file in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_security_scheme_without_its_function_is_refused(spec: Path) -> None:
    document = merge(spec_folder(spec))

    refuse_unknown_authenticators(document, {"account", "admin"})
    with pytest.raises(ContractError, match="'admin' asks for the function 'admin', which does not exist"):
        refuse_unknown_authenticators(document, {"account"})


def test_an_operation_may_not_name_a_scheme_that_is_not_there(spec: Path) -> None:
    own = extension("/own", {"operationId": "getOwn", "tags": ["own"], "security": [{"cookie": []}]})
    policy = {"tags": POLICY["tags"] | {"own": {"fate": "not_served", "reason": "Not yet."}}}
    document = merge(spec_folder(spec, extensions={"own": own}, policy=policy))

    with pytest.raises(ContractError, match=r"getOwn .* asks for the security scheme 'cookie'"):
        refuse_unknown_authenticators(document, {"account", "admin"})


def test_the_documents_of_this_project_fit_together() -> None:
    document = merge(resource("spec"))

    refuse_unknown_authenticators(document, {"account", "admin"})
    served = {operation.id for operation in operations(document) if operation.is_answered}
    assert {"createChatCompletion", "createCompletion", "createEmbedding", "listModels", "getHealth"} <= served
    assert len(list(operations(document))) > 380


def test_the_organization_of_the_operator_is_never_served() -> None:
    for operation in operations(merge(resource("spec"))):
        if operation.tag in ("organization", "projects", "safety", "webhooks"):
            assert not operation.is_answered
            assert operation.fields["security"] == [{"key": []}]


def test_each_reason_fits_into_an_error() -> None:
    for operation in operations(merge(resource("spec"))):
        assert len(operation.fields.get("x-reason", "")) < 200, operation


def test_the_service_document_stands_for_all_errors() -> None:
    assert SERVICE["x-default-response"] == merge(resource("spec"))["paths"]["/healthz"]["get"]["responses"]["default"]
