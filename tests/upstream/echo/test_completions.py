"""Legacy completions."""

import pytest

from tests.upstream.echo.asking import Asker, Json


async def complete(ask: Asker, **request: Json) -> Json:
    return (await ask.post("/completions", {"model": "echo"} | request)).json


async def test_it_says_the_words_of_the_prompt(ask: Asker) -> None:
    answer = await complete(ask, prompt="a b c")

    assert answer["choices"] == [{"text": "a b c", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (3, 3)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        (["a b", "c"], ["a b", "a b", "c", "c"]),
        ([5, 6], ["5 6", "5 6"]),
        ([[5, 6], [7]], ["5 6", "5 6", "7", "7"]),
    ],
)
async def test_each_prompt_of_any_shape_gets_n_choices(ask: Asker, prompt: Json, texts: list[str]) -> None:
    answer = await complete(ask, prompt=prompt, n=2)

    assert [choice["text"] for choice in answer["choices"]] == texts
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(texts)))


async def test_the_prompt_comes_first_where_it_is_to_be_echoed_and_costs_nothing(ask: Asker) -> None:
    answer = await complete(ask, prompt="a b c", echo=True, max_tokens=2)

    assert answer["choices"][0]["text"] == "a b c a b"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_log_probabilities_have_offsets_into_the_text(ask: Asker) -> None:
    answer = await complete(ask, prompt="aa b", logprobs=2)

    logprobs = answer["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["aa", " b"]
    assert logprobs["text_offset"] == [0, 2]
    assert list(logprobs["top_logprobs"][0]) == ["aa", "aa~1"]


async def test_a_stream_says_what_the_whole_answer_says(ask: Asker) -> None:
    request = {"model": "echo", "prompt": ["a b", "c"], "echo": True, "logprobs": 0}
    whole = (await ask.post("/completions", request)).json

    streamed = await ask.post("/completions", request | {"stream": True, "stream_options": {"include_usage": True}})

    *chunks, usage, done = streamed.events
    choices = [chunk["choices"][0] for chunk in chunks]
    for choice in whole["choices"]:
        parts = [part for part in choices if part["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert parts[-1]["finish_reason"] == "stop"
        offsets = [offset for part in parts if part["logprobs"] for offset in part["logprobs"]["text_offset"]]
        assert offsets == choice["logprobs"]["text_offset"]
    assert usage["usage"] == whole["usage"]
    assert done == "[DONE]"


async def test_directives_work_in_a_prompt(ask: Asker) -> None:
    answer = await complete(ask, prompt="[[words 5]] [[tokens prompt=12 completion=40]] a b")

    assert answer["choices"][0]["text"] == "a b a b a"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (12, 40)


@pytest.mark.parametrize(("n", "count"), [(2, 2), (2.0, 2), (None, 1)])
async def test_a_whole_number_is_a_count_however_it_is_written(ask: Asker, n: float | None, count: int) -> None:
    answer = await complete(ask, prompt="a", n=n)

    assert [choice["text"] for choice in answer["choices"]] == ["a"] * count


async def test_a_prompt_that_is_null_is_the_beginning_of_a_text(ask: Asker) -> None:
    answer = await complete(ask, prompt=None)

    assert [choice["text"] for choice in answer["choices"]] == [""]


@pytest.mark.parametrize("prompt", [[], {}, [["a"]], [1, "a"], [[]]])
async def test_a_prompt_of_no_known_shape_is_refused(ask: Asker, prompt: Json) -> None:
    answer = await ask.post("/completions", {"model": "echo", "prompt": prompt})

    assert answer.status == 400
    assert answer.error["param"].startswith("prompt")
