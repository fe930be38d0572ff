"""Who refuses what nobody but this server asks for."""

from llm_backend.upstream.denials import MODELS_REMEMBERED, Denials


def test_of_more_models_than_are_remembered_the_oldest_is_forgotten() -> None:
    denials = Denials()

    for number in range(MODELS_REMEMBERED):
        denials.note(f"m{number}")
    denials.note("m0")
    denials.note("another")

    assert [denials.holds(model) for model in ("m0", "m1", "m2", "another")] == [True, False, True, True]
