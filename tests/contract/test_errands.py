"""What a relayed operation is, read off the contract; and that nothing in it that may be an id is overlooked."""

from collections.abc import Iterator

import pytest

from llm_backend.contract.documents import merge, resolve
from llm_backend.contract.errands import Errands
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import Operation, in_turn
from llm_backend.contract.policy import read_policy
from llm_backend.contract.schemas import Schemas
from llm_backend.contract.validation import schemas_of
from llm_backend.domain.errands import Errand
from llm_backend.domain.naming import Named
from llm_backend.errors import Json
from llm_backend.resources import resource

POLICY = read_policy(resource("spec") / "policy.yaml")
UNMETERED = tuple(tag for tag, ruling in POLICY.tags.items() if ruling.get("unmetered"))
DOCUMENT = merge(resource("spec"), unmetered=UNMETERED)
RELAYED = [operation for operation in in_turn(DOCUMENT) if operation.is_relayed]


def errand(operation_id: str) -> Errand:
    return next(Errands(DOCUMENT).of(each) for each in RELAYED if each.id == operation_id)


def kinds(operation_id: str) -> list[str | None]:
    return [each.kind for each in errand(operation_id).path_ids]


def test_what_is_posted_to_a_collection_is_one_of_it() -> None:
    assert errand("createVectorStoreFileBatch").makes == {"id": "vector_stores.file_batches"}
    assert errand("createVectorStoreFile").makes == {}
    assert errand("completeUpload").makes == {"file.id": "files"}
    assert errand("searchVectorStore").makes == {}


def test_a_path_names_what_its_collections_hold() -> None:
    assert kinds("getVectorStoreFileBatch") == ["vector_stores", "vector_stores.file_batches"]
    assert kinds("deleteVectorStoreFile") == ["vector_stores", "files"]
    assert kinds("getContainerFileContent") == ["containers", None]
    assert kinds("cancelChatkitSession") == ["chatkit.sessions"]


def test_only_what_a_deletion_names_is_forgotten() -> None:
    assert errand("deleteFile").forgets
    assert errand("deleteContainer").forgets
    assert not errand("deleteVectorStoreFile").forgets
    assert not errand("deleteContainerFile").forgets
    assert not errand("getContainer").forgets


def test_only_lists_that_everybody_shares_are_sifted() -> None:
    assert errand("listFiles").lists == "files"
    assert errand("listVectorStoreFiles").lists is None
    assert [each.kind for each in errand("listVectorStores").query if each.name == "after"] == ["vector_stores"]
    assert [each.kind for each in errand("listVectorStoreFiles").query if each.name == "after"] == [None]


def test_what_is_kept_here_is_nothing_that_an_upstream_keeps() -> None:
    served = next(each for each in in_turn(DOCUMENT) if each.id == "createConversationItems")
    items = [{"type": "item_reference", "id": "msg_1"}, {"content": [{"file_id": "file-1"}]}]

    named = list(Errands(DOCUMENT).of(served).naming.found({"items": items}))

    assert named == [Named("items[1].content[0].file_id", "files", "file-1")]


def test_what_an_answer_is_made_of_is_known() -> None:
    assert errand("downloadFile").gives == "binary"
    assert errand("deleteContainer").gives == "nothing"
    assert errand("listFiles").gives == "json"


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("organization", "never relayed"),
        ("projects", "never relayed"),
        ("safety", "never relayed"),
        ("webhooks", "never relayed"),
        ("assistants", "withdrawn"),
        ("files", "it is relayed"),
        ("embeddings", "it is served"),
        ("toasters", "there is no such tag"),
    ],
)
def test_what_must_not_be_relayed_unmetered_is_refused_with_the_reason(tag: str, why: str) -> None:
    with pytest.raises(ContractError, match=f"relay.unmetered cannot have '{tag}': .*{why}"):
        merge(resource("spec"), unmetered=["batches", tag])


def test_what_a_tenant_allows_is_relayed_and_nothing_else() -> None:
    fates = {each.id: each.fields["x-fate"] for each in in_turn(merge(resource("spec"), unmetered=["batches"]))}

    assert (fates["createBatch"], fates["createVideo"], fates["listFiles"]) == ("relayed", "not_served", "relayed")


def test_every_body_of_a_relayed_operation_can_be_validated() -> None:
    schemas: Schemas = schemas_of(RELAYED, DOCUMENT["components"]["schemas"])

    with_bodies = [each.id for each in RELAYED if has_json(each)]
    for name in with_bodies:
        schemas.check(f"/named/{name}")
    assert [name for name in with_bodies if schemas.is_valid(f"/named/{name}", "no object")] == []
    assert "createVectorStore" in with_bodies


def has_json(operation: Operation) -> bool:
    return "application/json" in resolve(DOCUMENT, operation.fields.get("requestBody", {})).get("content", {})


def properties(schema: Json, seen: set[str]) -> Iterator[str]:
    """The names of all that a value of the schema may hold."""
    if "$ref" in schema:
        if schema["$ref"] in seen:
            return
        seen.add(schema["$ref"])
        schema = resolve(DOCUMENT, schema)
    for name, inner in schema.get("properties", {}).items():
        yield name
        if isinstance(inner, dict):
            yield from properties(inner, seen)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from properties(schema[keyword], seen)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(keyword, ()):
            yield from properties(inner, seen)


def test_every_property_that_may_hold_an_id_is_known_to_or_not_to() -> None:
    told = POLICY.ownership
    known = {*told["ids"], *told["holders"], *told["opaque"], *told["others"]}
    lists = [Errands(DOCUMENT).of(each).lists for each in RELAYED]
    resources = {each.rpartition(".")[2] for each in lists if each}
    suspicious = {*resources, *(name.removesuffix("s") for name in resources), "response", "conversation", "upload"}
    found: set[str] = set()
    for operation in in_turn(DOCUMENT):
        if operation.is_answered and operation.path.startswith("/v1/"):
            found |= {each["name"] for each in operation.parameters if each["in"] == "query"}
            for media in resolve(DOCUMENT, operation.fields.get("requestBody", {})).get("content", {}).values():
                found |= set(properties(media["schema"], set()))

    named = {name for name in found if name.endswith(("_id", "_ids", "_file")) or name in suspicious}

    assert sorted(named - known) == []
