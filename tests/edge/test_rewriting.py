"""Every operation at each of its spellings, by the document itself."""

import re
from typing import Any

import pytest

from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.edge.rewriting import DEPLOYMENT, Rewriting
from llm_backend.errors import NotFound
from llm_backend.resources import resource

DOCUMENT = merge(resource("spec"))
PATHS = sorted({operation.path for operation in operations(DOCUMENT) if "?" not in operation.path})
OF_THE_API = [path for path in PATHS if path.startswith("/v1/")]
REWRITING = Rewriting(DOCUMENT["paths"])


def arrived(path: str, query: bytes = b"", headers: dict[str, str] | None = None) -> dict[str, Any]:
    """What the router is shown of a request, with its headers under `headers`."""
    scope: dict[str, Any] = {"path": path, "raw_path": path.encode(), "query_string": query}
    headers = dict(headers or {})
    REWRITING.apply(scope, headers)
    return scope | {"headers": headers}


def test_every_operation_is_reached_with_v1_at_the_root_and_as_azure_has_it() -> None:
    told = {
        path: {arrived(prefix + path[len("/v1") * short :])["path"] for prefix, short in SPELLINGS}
        for path in (re.sub(r"\{[^}]*\}", "a_1", each) for each in OF_THE_API)
    }

    assert told == {path: {path} for path in told}
    assert len(told) > 200


SPELLINGS = [("", False), ("", True), ("/openai/v1", True), ("/openai", True)]
"""What a path begins with, and whether its own `/v1` is left out."""


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-3.5-turbo", "meta-llama/Llama-3.1", "chat", "models/a b"])
def test_a_deployment_is_reached_under_every_operation_that_may_have_one(model: str) -> None:
    plain = [path for path in OF_THE_API if "{" not in path and "post" in DOCUMENT["paths"][path]]

    for path in plain:
        found = arrived(f"/openai/deployments/{model}{path.removeprefix('/v1')}")
        assert (found["path"], found[DEPLOYMENT]) == (path, model)
    assert "/v1/chat/completions" in plain
    assert "/v1/images/edits" in plain


def test_no_operation_is_registered_at_a_second_spelling() -> None:
    others = {path.split("/")[1] for path in PATHS if not path.startswith("/v1/")}

    assert not others & {"openai", *(path.split("/")[2] for path in OF_THE_API)}


def test_azures_version_is_dropped_and_its_key_is_the_bearers() -> None:
    found = arrived("/openai/files", b"after=a&api-version=2024-10-21&limit=3", {"api-key": "k"})

    assert found["query_string"] == b"after=a&limit=3"
    assert found["headers"]["authorization"] == "Bearer k"


def test_a_bearers_own_key_stays_and_no_other_path_reads_azures() -> None:
    both = arrived("/openai/v1/models", headers={"api-key": "k", "authorization": "Bearer b"})

    assert both["headers"]["authorization"] == "Bearer b"
    assert "authorization" not in arrived("/v1/models", headers={"api-key": "k"})["headers"]


@pytest.mark.parametrize(
    ("path", "today", "model"),
    [
        ("/v1/engines", "/v1/models", None),
        ("/engines/davinci", "/v1/models/davinci", None),
        ("/v1/engines/meta-llama/Llama-3.1", "/v1/models/meta-llama/Llama-3.1", None),
        ("/v1/engines/davinci/completions", "/v1/completions", "davinci"),
        ("/engines/meta-llama/Llama-3.1/embeddings", "/v1/embeddings", "meta-llama/Llama-3.1"),
        ("/v1/engines/davinci/search", "/v1/engines/davinci/search", None),
    ],
)
def test_what_engines_were_asked_is_asked_of_models(path: str, today: str, model: str | None) -> None:
    found = arrived(path)

    assert (found["path"], found.get(DEPLOYMENT)) == (today, model)


@pytest.mark.parametrize("path", ["/v1/v1", "/v1/v1/models", "/openai/v1/v1/models"])
def test_a_doubled_version_is_told_so(path: str) -> None:
    with pytest.raises(NotFound, match="twice"):
        arrived(path)


@pytest.mark.parametrize("path", ["/", "/healthz", "/openai", "/openai/", "/openai/deployments/a", "/openai/docs"])
def test_what_is_none_of_the_apis_paths_is_left_as_it_is(path: str) -> None:
    assert arrived(path)["path"] == path
