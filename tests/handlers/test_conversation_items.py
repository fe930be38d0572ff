"""Items of conversations: of every type, by reference, and with what is shown on demand only."""

import pytest
from sqlalchemy import update

from llm_backend.errors import Json
from llm_backend.storage.conversations import EXPIRED
from llm_backend.storage.tables import conversation
from tests.databases import ON_SQLITE
from tests.handlers.conversing import INCLUDE, Talker, document, says
from tests.serving import Running
from tests.whole.examples import example

SEALED = {INCLUDE: "reasoning.encrypted_content"}
THINKING = {"type": "reasoning", "id": "rs_of_the_provider", "summary": [], "encrypted_content": "sealed"}


async def test_a_reference_copies_an_item_of_the_accounts_own(talker: Talker, stranger: Talker) -> None:
    talk = await talker.talk(says("one"), {"type": "function_call_output", "call_id": "call_1", "output": "fine"})
    output, one = await talker.items(talk)

    copies = await talker.add(
        await talker.talk(), {"type": "item_reference", "id": one["id"]}, says("two"), {"id": output["id"]}
    )

    assert [{**each, "id": ""} for each in copies] == [{**one, "id": ""}, copies[1] | {"id": ""}, {**output, "id": ""}]
    assert {each["id"] for each in copies}.isdisjoint({one["id"], output["id"]})
    for wrong in (one["id"], "msg_nowhere", "no id at all"):
        items = {"items": [says("two"), {"type": "item_reference", "id": wrong}]}
        assert await stranger.refused("POST", "", items, status=404) == ("not_found", "items[1].id")


async def test_what_is_kept_no_longer_cannot_be_referred_to(running: Running, talker: Talker) -> None:
    talk = await talker.talk(says("one"))
    [one] = await talker.items(talk)
    async with running.database.begin() as session:
        await session.execute(update(conversation).values(kind=EXPIRED))

    items = {"items": [{"type": "item_reference", "id": one["id"]}]}

    assert await talker.refused("POST", "", items, status=404) == ("not_found", "items[0].id")
    assert await talker.refused("GET", f"/{talk}", status=404) == ("not_found", "conversation_id")


REQUEST = "request.createConversation"


def kinds() -> list[Json]:
    """The smallest item of every type that a conversation takes."""
    found, _ = document()
    schema = found["components"]["schemas"][REQUEST]["properties"]["items"]["items"]
    every = [example(found, branch, {}) for branch in schema["anyOf"]]
    return [each for each in every if each.get("type", "message") not in ("item_reference", "compaction_trigger")]


# An upstream keeps the container, and this account has none there.
KEPT = [each for each in kinds() if "container_id" not in each and set(each) != {"id"}]


@ON_SQLITE
@pytest.mark.parametrize("given", KEPT, ids=lambda each: each.get("type", "message"))
async def test_an_item_of_each_type_is_shown_as_the_document_has_it(talker: Talker, given: Json) -> None:
    talk = await talker.talk(given)

    [shown] = await talker.items(talk, **SEALED)

    assert {name: shown[name] for name in given if name not in ("id", "content", "results", "outputs")} == {
        name: value for name, value in given.items() if name not in ("id", "content", "results", "outputs")
    }
    assert await talker.ask("GET", f"/{talk}/items/{shown['id']}", query=SEALED) == shown


@ON_SQLITE
async def test_what_a_client_need_not_say_is_shown_all_the_same(talker: Talker) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "file_id": None}]}

    shown = await talker.add(await talker.talk(), call, output)

    assert [each["status"] for each in shown] == ["completed"] * 2
    assert shown[1]["output"] == [{"type": "input_image", "file_id": None, "detail": "auto"}]


@ON_SQLITE
async def test_what_asks_for_something_is_no_item(talker: Talker) -> None:
    refused = await talker.refused("POST", "", {"items": [{"type": "compaction_trigger"}]})

    assert refused[1].startswith("items[0]")


@ON_SQLITE
async def test_what_might_be_a_message_or_a_reference_has_to_say_which(talker: Talker) -> None:
    refused = await talker.refused("POST", "", {"items": [{"id": "x", "role": "user", "content": [5]}]})

    assert refused == ("missing_required_parameter", "items[0].type")


PICTURE = "data:image/png;base64,AA=="
BEFORE_AND_AFTER: dict[str, tuple[Json, Json]] = {
    "reasoning.encrypted_content": (THINKING, {"encrypted_content": "sealed"}),
    "message.output_text.logprobs": (
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "a",
                    "annotations": [],
                    "logprobs": [{"token": "a", "bytes": [97], "logprob": -1, "top_logprobs": []}],
                }
            ],
        },
        {"logprobs": [{"token": "a", "bytes": [97], "logprob": -1, "top_logprobs": []}]},
    ),
    "message.input_image.image_url": (
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": PICTURE}],
        },
        {"image_url": PICTURE},
    ),
    "computer_call_output.output.image_url": (
        {
            "type": "computer_call_output",
            "call_id": "call_1",
            "output": {"type": "computer_screenshot", "image_url": PICTURE},
        },
        {"image_url": PICTURE},
    ),
    "file_search_call.results": (
        {
            "type": "file_search_call",
            "id": "fs_1",
            "status": "completed",
            "queries": ["a"],
            "results": [{"text": "found"}],
        },
        {"results": [{"text": "found"}]},
    ),
    "web_search_call.action.sources": (
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "a", "sources": [{"type": "url", "url": "https://a.example"}]},
        },
        {"sources": [{"type": "url", "url": "https://a.example"}]},
    ),
}


@ON_SQLITE
@pytest.mark.parametrize("include", BEFORE_AND_AFTER)
async def test_what_is_shown_on_demand_is_not_shown_without(talker: Talker, include: str) -> None:
    given, more = BEFORE_AND_AFTER[include]
    talk = await talker.talk()
    [added] = await talker.add(talk, given)
    wanted = {INCLUDE: include}

    plain = [added, *await talker.items(talk), await talker.ask("GET", f"/{talk}/items/{added['id']}")]
    full = [*await talker.items(talk, **wanted), await talker.ask("GET", f"/{talk}/items/{added['id']}", query=wanted)]
    full += await talker.add(await talker.talk(), given, **wanted)

    [[name, value]] = more.items()
    assert [said(each, name) for each in plain] == [[[]] if name == "logprobs" else []] * 3
    assert [said(each, name) for each in full] == [[value]] * 3


def said(value: Json, name: str) -> list[Json]:
    """What stands under a name, however deep."""
    if isinstance(value, list):
        return [found for each in value for found in said(each, name)]
    if not isinstance(value, dict):
        return []
    own = [value[name]] if name in value else []
    return own + [found for key, inner in value.items() if key != name for found in said(inner, name)]


async def test_what_a_provider_sealed_keeps_the_id_that_it_is_bound_to(talker: Talker) -> None:
    talk = await talker.talk(THINKING, says("so"))

    so, thought = await talker.items(talk)

    assert thought["id"] == THINKING["id"]
    assert await talker.ask("GET", f"/{talk}/items/{thought['id']}") == thought
    assert await talker.items(talk, order="asc", after=thought["id"]) == [so]
    assert await talker.items(talk, order="desc", after=thought["id"]) == []
    assert await talker.refused("POST", f"/{talk}/items", {"items": [THINKING]}) == ("invalid_value", "items[0].id")
    assert await talker.refused("POST", "", {"items": [THINKING] * 2}) == ("invalid_value", "items[1].id")
    other = await talker.talk({"type": "item_reference", "id": thought["id"]})
    assert [each["id"] for each in await talker.items(other)] == [thought["id"]]
    await talker.ask("DELETE", f"/{talk}/items/{thought['id']}")
    assert await talker.items(talk) == [so]


@ON_SQLITE
async def test_an_item_names_no_file_of_another_account_at_the_upstream(talker: Talker) -> None:
    picture = {"role": "user", "content": [{"type": "input_image", "file_id": "file_of_another"}]}
    code = {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "outputs": [], "status": "completed"}

    refused = [
        await talker.refused("POST", "", {"items": [picture]}, status=404),
        await talker.refused("POST", "", {"items": [{**code, "container_id": "cntr_of_another"}]}, status=404),
    ]

    assert refused == [("not_found", "items[0].content[0].file_id"), ("not_found", "items[0].container_id")]


@ON_SQLITE
async def test_an_item_names_what_the_account_has_at_the_upstream(talker: Talker) -> None:
    form = {"file": ("a.png", b"picture")}
    file = (await talker.client.post("/files", files=form, data={"purpose": "vision"})).json()["id"]
    container = (await talker.client.post("/containers", json={"name": "work"})).json()["id"]
    picture = {"role": "user", "content": [{"type": "input_image", "file_id": file}]}
    said = [{"type": "logs", "logs": "1"}]
    code = {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "outputs": said, "status": "completed"}

    talk = await talker.talk(picture, {**code, "container_id": container})

    run, shown = await talker.items(talk)
    assert shown["content"] == [{"type": "input_image", "detail": "auto", "file_id": file}]
    assert (run["container_id"], "outputs" in run) == (container, False)
    [full, _] = await talker.items(talk, **{INCLUDE: "code_interpreter_call.outputs"})
    assert full["outputs"] == said
