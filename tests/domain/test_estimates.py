"""Tokens of texts whose upstream did not count them."""

from llm_backend.domain.estimates import MODELS_REMEMBERED, Estimates, Ratios
from llm_backend.domain.usage import Usage


def test_an_unknown_model_has_four_bytes_a_token_rounded_up() -> None:
    assert Estimates().usage("new", 9, 0) == Usage(3, 0)


def test_a_model_that_reports_more_tokens_is_estimated_higher_next_time() -> None:
    estimates = Estimates()
    for _ in range(40):
        estimates.learn("dense", Usage(100, 50), prompt_bytes=200, completion_bytes=100)

    assert estimates.usage("dense", 200, 100) == Usage(100, 50)
    assert estimates.usage("other", 200, 100) == Usage(50, 25)


def test_a_report_that_cannot_be_true_teaches_nothing() -> None:
    estimates = Estimates()
    estimates.learn("liar", Usage(1, 0), prompt_bytes=1_000_000, completion_bytes=10)
    estimates.learn("liar", Usage(10**9, 0), prompt_bytes=10, completion_bytes=10)

    assert estimates.usage("liar", 400, 0) == Usage(100, 0)


def test_only_so_many_models_are_remembered() -> None:
    ratios = Ratios()
    for number in range(MODELS_REMEMBERED + 1):
        ratios.learn(f"model-{number}", 200, 100)

    assert ratios.tokens("model-0", 400) == 100
    assert ratios.tokens("model-1", 400) > 100


def test_sounds_pictures_and_thoughts_teach_nothing_of_texts() -> None:
    estimates = Estimates()
    heard = Usage(
        1050, 950, audio_prompt_tokens=500, image_prompt_tokens=500, audio_completion_tokens=500, reasoning_tokens=400
    )
    for _ in range(40):
        estimates.learn("seer", heard, prompt_bytes=100, completion_bytes=100)

    assert estimates.usage("seer", 100, 100) == Usage(50, 50)
