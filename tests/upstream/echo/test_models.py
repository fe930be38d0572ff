"""Models, and paths that lead nowhere."""

from llm_backend.upstream.echo import Echo
from tests.upstream.echo.asking import Asker, chat


async def test_every_listed_model_can_be_retrieved(ask: Asker) -> None:
    listed = (await ask.get("/models")).json["data"]

    retrieved = [(await ask.get(f"/models/{model['id']}")).json for model in listed]

    assert [model["id"] for model in listed][:3] == ["echo", "echo-reasoning", "echo-embedding"]
    assert listed[-1]["id"] == "gpt-like"
    assert retrieved == listed


async def test_a_further_model_answers_under_its_own_name(ask: Asker) -> None:
    answer = await ask.chat("Hello", model="gpt-like")

    assert (answer.json["model"], answer.message["content"]) == ("gpt-like", "Hello")


async def test_models_of_faults_can_be_retrieved_and_unknown_ones_cannot(ask: Asker) -> None:
    names = ["echo-fault-500", "echo-fault-429%3Aretry-after=3", "echo-fault-unheard-of", "echo-fault-", "nobody"]

    statuses = [(await ask.get(f"/models/{name}")).status for name in names]

    assert statuses == [200, 200, 404, 404, 404]


async def test_any_other_path_or_method_is_not_found(ask: Asker) -> None:
    answers = [await ask.get("/completions"), await ask.post("/models", {}), await ask.get("/nowhere")]

    assert [answer.status for answer in answers] == [404, 404, 404]
    assert all(answer.error["code"] == "unknown_url" for answer in answers)


def test_the_log_keeps_the_newest_calls_and_goes_on_counting() -> None:
    echo = Echo(kept_calls=2)

    for _ in range(5):
        echo.answer("GET", "/models")

    assert [call.number for call in echo.calls] == [4, 5]
    assert len(echo.calls) == 2


async def test_the_log_tells_what_was_asked_and_what_it_cost(ask: Asker) -> None:
    await ask.post("/chat/completions", chat("a b", stream=True, stream_options={"include_usage": True}))

    call = ask.last
    assert (call.model, call.stream, call.status, call.ending) == ("echo", True, 200, "complete")
    assert (call.prompt_tokens, call.completion_tokens) == (2, 2)
    assert call.usage["total_tokens"] == 4
