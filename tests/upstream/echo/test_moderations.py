"""Moderations: what is flagged, and what is said of it."""

import openai

from tests.upstream.echo.asking import Asker, Json


async def test_a_text_is_flagged_where_a_directive_says_so_and_not_otherwise(strict: openai.AsyncOpenAI) -> None:
    answer = await strict.moderations.create(input=["Hello", "[[flag violence self-harm/intent]] Hello"])

    good, bad = answer.results
    assert answer.model == "echo-moderation"
    assert (good.flagged, bad.flagged) == (False, True)
    assert (bad.categories.violence, bad.categories.self_harm_intent, bad.categories.hate) == (True, True, False)
    assert bad.category_scores.violence > 0.9 > good.category_scores.violence


async def test_parts_are_judged_together_and_images_only_for_what_is_applied_to_them(
    strict: openai.AsyncOpenAI,
) -> None:
    image: Json = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}

    answer = await strict.moderations.create(input=[{"type": "text", "text": "Hello"}, image])

    (result,) = answer.results
    assert result.category_applied_input_types.violence == ["text", "image"]
    assert result.category_applied_input_types.hate == ["text"]


async def test_no_usage_is_told_and_the_same_text_gets_the_same_answer(ask: Asker) -> None:
    first, second = [await ask.post("/moderations", {"input": "Hello"}) for _ in range(2)]

    assert first.body == second.body
    assert "usage" not in first.json
    assert ask.last.prompt_tokens == 1


async def test_what_cannot_be_judged_is_refused(ask: Asker) -> None:
    requests = [{}, {"input": []}, {"input": [{"type": "video"}]}, {"input": "[[flag nonsense]]"}]

    answers = [await ask.post("/moderations", request) for request in requests]

    assert [(answer.status, answer.error["param"]) for answer in answers] == [
        (400, "input"),
        (400, "input"),
        (400, "input[0]"),
        (400, "input"),
    ]


async def test_a_fault_strikes_moderations_too(ask: Asker) -> None:
    by_text = await ask.post("/moderations", {"input": ["a", "[[fault 503]] b"]})
    by_name = await ask.post("/moderations", {"input": "a", "model": "echo-fault-wrong-shape:kind=list"})

    assert by_text.status == 503
    assert by_name.json == []
