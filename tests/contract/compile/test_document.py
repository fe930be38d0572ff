"""The third pass, and the whole: what the pinned package gives is what is committed."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Required

import jsonschema_rs
import pytest
from openai import BaseModel
from openai._legacy_response import HttpxBinaryResponseContent
from typing_extensions import TypedDict

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.document import Assembly, check_ids, operations, written
from llm_backend.contract.compile.overlay import load
from llm_backend.contract.compile.sites import Fields, Site
from llm_backend.errors import Json
from llm_backend.resources import resource

SERVED = {
    "createChatCompletion": "POST /chat/completions",
    "listChatCompletions": "GET /chat/completions",
    "getChatCompletion": "GET /chat/completions/{completion_id}",
    "createCompletion": "POST /completions",
    "createEmbedding": "POST /embeddings",
    "listModels": "GET /models",
    "retrieveModel": "GET /models/{model}",
    "deleteModel": "DELETE /models/{model}",
    "createImage": "POST /images/generations",
    "createImageEdit": "POST /images/edits",
    "createImageVariation": "POST /images/variations",
    "createSpeech": "POST /audio/speech",
    "createTranscription": "POST /audio/transcriptions",
    "createTranslation": "POST /audio/translations",
    "createModeration": "POST /moderations",
    "createResponse": "POST /responses",
    "getResponse": "GET /responses/{response_id}",
    "createFile": "POST /files",
    "listFiles": "GET /files",
    "createAssistant": "POST /assistants",
    "createThread": "POST /threads",
}


class Whole(TypedDict, total=False):
    name: Required[str]
    stream: Literal[False] | None


class Streaming(TypedDict, total=False):
    name: Required[str]
    stream: Required[Literal[True]]


class Thing(BaseModel):
    id: str


SITE = Site(("beta", "things"), "create", "POST", "/things", "things:create", answer=Thing)


@pytest.fixture
def assembly() -> Assembly:
    return Assembly(load(resource("spec")))


def every_operation(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_committed_file_is_what_the_pinned_package_gives(compiled: Json) -> None:
    committed = (resource("spec") / "openai.json").read_bytes()

    assert sha256(committed).hexdigest() == sha256(written(compiled)).hexdigest(), "run `make spec` and read the diff"


def test_the_bytes_do_not_depend_on_the_order_of_hashes(compiled: Json, tmp_path: Path) -> None:
    file = tmp_path / "openai.json"
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    program = "import sys\nfrom llm_backend.cli.spec import spec\nspec(['compile', '--out', sys.argv[1]])"

    command = [sys.executable, "-c", program, str(file)]
    # Coverage has looked at it where it was compiled here.
    environment = {**os.environ, "PYTHONHASHSEED": seed, "COVERAGE_PROCESS_CONFIG": ""}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own interpreter)

    assert sha256(file.read_bytes()).hexdigest() == sha256(written(compiled)).hexdigest()


def test_every_operation_of_the_package_is_there(document: Json) -> None:
    found = dict(every_operation(document))
    bodies = Counter(media for one in found.values() if "requestBody" in one for media in one["requestBody"]["content"])
    parameters = Counter(parameter["in"] for one in found.values() for parameter in one["parameters"])

    assert len(found) == 388
    assert sum("requestBody" in one for one in found.values()) == 143
    assert bodies == {"application/json": 126 + 3 + 4, "multipart/form-data": 17}
    assert sum("x-stream" in one for one in found.values()) == 14
    assert parameters["path"] == 362
    assert parameters["header"] == 9
    assert sum("deprecated" in one for one in found.values()) == 35


def test_served_operations_bear_openais_names(document: Json) -> None:
    names = {operation["operationId"]: key for key, operation in every_operation(document)}

    assert names.items() >= SERVED.items()


def test_ids_are_unique_whatever_their_case_and_can_be_python_names(document: Json) -> None:
    names = [operation["operationId"] for _, operation in every_operation(document)]

    assert len({name.lower() for name in names}) == len(names)
    assert all(name.isascii() and name.isidentifier() and name[0].islower() for name in names)


def test_there_is_no_prose(document: Json) -> None:
    def descriptions(value: Json) -> Iterator[Json]:
        if isinstance(value, list):
            for one in value:
                yield from descriptions(one)
        elif isinstance(value, dict):
            if isinstance(value.get("description"), str):
                yield value["description"]
            for name in ("title", "summary", "example"):
                assert not isinstance(value.get(name), str) or value == document["info"]
            for one in value.values():
                yield from descriptions(one)

    assert set(descriptions(document["components"])) == set()
    assert set(descriptions(document["paths"])) == {"OK"}


def test_requests_and_answers_share_nothing_and_nothing_is_unused(document: Json) -> None:
    components = document["components"]["schemas"]
    text = written(document).decode()

    assert {name.partition(".")[0] for name in components} == {"request", "answer"}
    for name, schema in components.items():
        other = "answer." if name.startswith("request.") else "request."
        assert f"schemas/{other}" not in str(schema)
        assert f'"#/components/schemas/{name}"' in text


def test_no_two_components_of_a_side_are_equal(document: Json) -> None:
    seen = Counter(f"{name.partition('.')[0]} {schema}" for name, schema in document["components"]["schemas"].items())

    assert [schema for schema, count in seen.items() if count > 1] == []


def test_every_schema_is_one(document: Json, registry: jsonschema_rs.Registry) -> None:
    names = document["components"]["schemas"]

    compiled = [
        jsonschema_rs.validator_for({"$ref": f"urn:openai#/components/schemas/{name}"}, registry=registry)
        for name in names
    ]

    assert len(compiled) == len(names) > 1000


def test_objects_are_open_on_both_sides(document: Json) -> None:
    assert '"additionalProperties":false' not in written(document).decode()


def test_a_model_may_hold_slashes_and_an_object_may_not(document: Json) -> None:
    (model,) = document["paths"]["/models/{model}"]["get"]["parameters"]
    (file,) = document["paths"]["/files/{file_id}"]["get"]["parameters"]

    assert model["schema"]["format"] == "path"
    assert file["schema"]["pattern"] == "^[A-Za-z0-9_-]{1,64}$"


def test_of_sites_with_one_request_the_one_in_use_gives_the_operation() -> None:
    old = replace(SITE, method="make", deprecated=True)

    assert operations([old, SITE]) == [SITE]


def test_a_site_becomes_an_operation(assembly: Assembly) -> None:
    site = replace(SITE, body=Fields((Streaming, Whole), ("name", "stream")), streamed="stream", event=Thing)

    operation = assembly.operation(site)

    thing = next(name for name in assembly.components if name.endswith(".Thing"))
    reference = {"schema": {"$ref": f"#/components/schemas/{thing}"}}
    assert operation == {
        "operationId": "createThing",
        "tags": ["things"],
        "parameters": [],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/request.createThing"}}},
        },
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": reference, "text/event-stream": reference},
            }
        },
        "x-sdk": "beta.things.create",
        "x-stream": {"parameter": "stream", "enveloped": False},
    }


def test_bodies_that_differ_in_the_stream_flag_only_are_one(assembly: Assembly) -> None:
    assembly.operation(replace(SITE, body=Fields((Streaming, Whole), ("name", "stream"))))

    assert assembly.components["request.createThing"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "stream": {"type": ["boolean", "null"]}},
        "required": ["name"],
    }


def test_an_empty_and_a_binary_answer_have_no_schema_of_their_own(assembly: Assembly) -> None:
    empty = assembly.operation(replace(SITE, answer=type(None)))
    binary = assembly.operation(replace(SITE, answer=HttpxBinaryResponseContent))

    assert empty["responses"]["200"] == {"description": "OK"}
    assert set(binary["responses"]["200"]["content"]) == {"application/octet-stream"}


def test_a_list_has_the_envelope_of_its_page_class(assembly: Assembly) -> None:
    assembly.operation(replace(SITE, method="list", page="SyncCursorPage"))

    envelope = assembly.components["answer.listThings"]
    assert set(envelope["properties"]) == {"object", "data", "first_id", "last_id", "has_more"}
    assert envelope["required"] == ["data"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "_response_type"}, "does not say what _response_type answers"),
        ({"page": "SyncNewPage"}, "unknown page class"),
        ({"event": "NewStream", "streamed": True}, "does not name its events"),
        ({"body": Fields((Whole,), ("other",))}, "other is sent, but in none of its types"),
        ({"body": Fields((list[str],), ("id",))}, "no typed dictionary"),
    ],
)
def test_what_is_not_known_stops_the_build_with_its_place(assembly: Assembly, change: Json, reason: str) -> None:
    with pytest.raises(CompileError, match=reason) as refused:
        assembly.operation(replace(SITE, **change))

    assert str(refused.value).startswith("things:create: ")


def test_two_operations_of_one_name_stop_the_build() -> None:
    one, other = {"operationId": "createThing"}, {"operationId": "creatething"}

    with pytest.raises(CompileError, match="would both be called"):
        check_ids({"/a": {"post": one, "put": other}})
