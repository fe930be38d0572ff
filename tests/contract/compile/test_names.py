"""What operations are called."""

import pytest

from llm_backend.contract.compile.names import camel, operation_id, rank, shape, singular, tag


@pytest.mark.parametrize(
    ("resource", "method", "path", "name"),
    [
        ("chat.completions", "create", "/chat/completions", "createChatCompletion"),
        ("chat.completions", "list", "/chat/completions", "listChatCompletions"),
        ("vector_stores.file_batches", "retrieve", "/…", "getVectorStoreFileBatch"),
        ("batches", "cancel", "/…", "cancelBatch"),
        ("beta.assistants", "create", "/assistants", "createAssistant"),
        ("beta.responses", "create", "/responses?beta=true", "createBetaResponse"),
        ("admin.organization.users.roles", "delete", "/…", "deleteOrganizationUserRole"),
        ("videos", "create_character", "/…", "createVideoCharacter"),
        ("beta.chatkit.threads", "list_items", "/…", "listChatkitThreadItems"),
    ],
)
def test_an_operation_is_a_verb_and_a_noun(resource: str, method: str, path: str, name: str) -> None:
    assert operation_id(tuple(resource.split(".")), method, path) == name


def test_only_the_last_noun_of_a_list_is_plural() -> None:
    assert [singular(word) for word in ("queries", "batches", "access", "files", "usage")] == [
        "query",
        "batch",
        "access",
        "file",
        "usage",
    ]


def test_the_tag_is_the_top_resource_without_the_folders_that_say_nothing() -> None:
    assert tag(("beta", "threads", "runs")) == "threads"
    assert tag(("admin", "organization", "users")) == "organization"
    assert tag(("chat", "completions")) == "chat"


def test_of_two_sites_the_one_in_use_outside_beta_with_the_first_verb_gives_the_name() -> None:
    old = rank(("files",), "create", deprecated=True)
    beta = rank(("beta", "chat"), "create", deprecated=False)
    parse = rank(("chat",), "parse", deprecated=False)
    create = rank(("chat",), "create", deprecated=False)

    assert sorted([old, beta, parse, create]) == [create, parse, beta, old]


def test_paths_match_whatever_their_parameters_are_called() -> None:
    assert shape("/files/{file_id}/content") == shape("/files/{id}/content") == "/files/{}/content"


def test_an_id_of_any_style_becomes_camel_case() -> None:
    assert [camel(name) for name in ("list-projects", "ListSkills", "beta_listItems")] == [
        "listProjects",
        "listSkills",
        "betaListItems",
    ]
