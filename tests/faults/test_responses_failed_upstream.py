"""An upstream that says of its own response that it failed: its client is told so, and it is kept as failed."""

import orjson
import pytest

from llm_backend.errors import Json
from tests.faults.responding import asked, check, ended, kept, said, saying, whole
from tests.faults.stage import Stage
from tests.faulty import Cut

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILED: Json = {"error": {"code": "server_error", "message": "It broke at 10.0.0.7."}}


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"UPSTREAM_RESPONSES": "native"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_failed_upstream_is_told_and_kept_as_failed(
    stage: Stage,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    failed = ended([], "failed", **FAILED)
    if stream:
        stage.upstream.streams(*saying("native", "Hel", "lo"), failed, Cut)
    else:
        stage.upstream.answers(failed["response"])

    answer = await asked(stage.running, stream=stream)

    assert answer.status == 200
    check(answer)
    assert (answer.response["status"], answer.response["error"]["code"]) == ("failed", "server_error")
    assert answer.text == ("Hello" if stream else "")
    assert [item["status"] for item in answer.response["output"]] == (["incomplete"] if stream else [])
    assert (await kept(stage.running, answer.response["id"])).response == answer.response
    assert len(await stage.records()) == 1


def will_end(stage: Stage, told: Json, *, stream: bool) -> None:
    """Have the next request answered `Hello`, with this in its response."""
    *events, last = said("native", "Hello")
    if stream:
        stage.upstream.streams(*events, {**last, "response": last["response"] | told}, Cut)
    else:
        stage.upstream.answers(whole("native", "Hello") | told)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"status": "incomplete"}, "incomplete"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "incomplete"),
        ({"status": "cancelled"}, "failed"),
        ({"status": "queued"}, "failed"),
        ({"status": "in_progress"}, "failed"),
        ({"status": "completed", "incomplete_details": {}}, "completed"),
        ({"status": None}, "completed"),
        ({"status": ["odd"]}, "completed"),
    ],
    ids=str,
)
async def test_a_response_ends_as_its_upstream_says(
    stage: Stage,
    told: Json,
    status: str,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    will_end(stage, told, stream=stream)

    answer = await asked(stage.running, stream=stream)

    check(answer)
    shown = answer.response
    assert (shown["status"], answer.text) == (status, "Hello")
    assert (shown["error"] is not None) == (status == "failed")
    assert shown["incomplete_details"] == (told.get("incomplete_details") if status == "incomplete" else None)
    assert (await kept(stage.running, shown["id"])).response == shown


@pytest.mark.parametrize("name", ["incomplete", "failed"])
async def test_a_last_event_says_by_its_name_how_a_response_ended_that_does_not(stage: Stage, name: str) -> None:
    last = ended([], name)
    stage.upstream.streams(*saying("native", "Hello"), {**last, "response": last["response"] | {"status": None}}, Cut)

    answer = await asked(stage.running, stream=True)

    check(answer)
    assert (answer.response["status"], answer.text) == (name, "Hello")
    assert answer.response["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"code": "invalid_prompt", "message": "Not that."}, ("invalid_prompt", "Not that.")),
        ({"code": "rate_limit_exceeded", "message": "Wait."}, ("rate_limit_exceeded", "Wait.")),
        ({"code": "image_too_large", "message": "See 10.0.0.7 now."}, ("image_too_large", "See [redacted] now.")),
        ({"code": "server_error", "message": "It broke at 10.0.0.7."}, ("server_error", "The upstream failed.")),
        ({"code": "gpu_on_fire", "message": "Run."}, ("server_error", "The upstream failed.")),
        ({"code": ["odd"]}, ("server_error", "The upstream failed.")),
        ("It broke.", ("server_error", "The upstream failed.")),
    ],
    ids=str,
)
async def test_why_it_failed_is_told_by_the_words_that_responses_have(
    stage: Stage,
    error: Json,
    told: tuple[str, str],
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    will_end(stage, {"status": "failed", "error": error}, stream=stream)

    answer = await asked(stage.running, stream=stream)

    check(answer)
    assert (answer.response["error"]["code"], answer.response["error"]["message"]) == told


async def test_a_refusal_within_a_stream_keeps_its_code(stage: Stage) -> None:
    refused = {"type": "invalid_request_error", "code": "invalid_prompt", "message": "Not that."}
    stage.upstream.streams(*saying("native", "Hello"), {"type": "error", "error": refused}, Cut)

    answer = await asked(stage.running, stream=True)

    check(answer)
    assert answer.response["error"] == {"code": "invalid_prompt", "message": "Not that."}


NO_ITEM: Json = ["x"]
BROKEN_ITEMS: Json = [{"type": "function_call"}, {"type": "message", "content": 7}, {"type": "message", "status": []}]


async def test_an_item_too_deep_to_be_told_within_its_response_ends_it(stage: Stage) -> None:
    deep = orjson.loads(b"[" * 251 + b"]" * 251)
    item = {"type": "web_search_call", "id": "up_2", "status": "completed", "action": deep}
    done = {"type": "response.output_item.done", "output_index": 1, "item": item}
    stage.upstream.streams(*saying("native", "Hello"), done, ended([]), Cut)

    answer = await asked(stage.running, stream=True)

    check(answer)
    assert (answer.response["status"], answer.text) == ("failed", "Hello")


@pytest.mark.parametrize("output", [NO_ITEM, BROKEN_ITEMS, "x"], ids=["no item", "broken items", "no list"])
async def test_a_last_event_that_cannot_be_understood_is_the_end_and_what_came_is_kept(
    stage: Stage, output: Json
) -> None:
    stage.upstream.streams(*saying("native", "Hel", "lo"), ended(output), Cut)

    answer = await asked(stage.running, stream=True)

    check(answer)
    assert (answer.events[-1]["type"], answer.text) == ("response.failed", "Hello")
    assert answer.response["error"]["code"] == "server_error"
    assert (await kept(stage.running, answer.response["id"])).response == answer.response
    assert len(await stage.records()) == 1


WRONG: Json = {"text": "x", "reasoning": "y", "tools": {}, "temperature": True, "tool_choice": 7, "user": ["z"]}
SAID: Json = {"text": {"format": {"type": "text"}, "verbosity": "low"}, "temperature": 0.5, "top_p": 1}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_of_what_an_upstream_says_of_the_request_only_what_can_be_is_shown(
    stage: Stage,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    for told in (WRONG, SAID):
        will_end(stage, told, stream=stream)

    first, second = [await asked(stage.running, stream=stream) for _ in range(2)]

    for answer in (first, second):
        check(answer)
        assert (answer.status, answer.response["status"], answer.text) == (200, "completed", "Hello")
    shown = first.response
    assert (shown["text"]["verbosity"], shown["tools"], shown["temperature"]) == ("medium", [], 1.0)
    assert {name: second.response[name] for name in SAID} == SAID
