"""How responses ended, in the words that responses have for it."""

from typing import get_args

from openai.types.responses import ResponseError

from llm_backend.domain.responses.outcomes import CODES


def test_the_codes_of_failures_are_those_that_clients_know() -> None:
    assert set(get_args(ResponseError.model_fields["code"].annotation)) == CODES
