import pytest

from llm_backend.domain.defaults import completed
from llm_backend.errors import Json


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"a": 1}, {"a": 1, "temperature": 0.5, "max_tokens": 9}),
        ({"temperature": None}, {"temperature": 0.5, "max_tokens": 9}),
        ({"temperature": 0}, {"temperature": 0, "max_tokens": 9}),
        ({"max_completion_tokens": 3}, {"max_completion_tokens": 3, "temperature": 0.5}),
    ],
)
def test_a_default_stands_in_only_where_nothing_of_its_kind_was_said(body: Json, sent: Json) -> None:
    assert completed(body, {"temperature": 0.5, "max_tokens": 9}) == sent


def test_a_body_that_says_it_all_stays_the_same() -> None:
    body = {"temperature": 1}

    assert completed(body, {"temperature": 0.5}) is body
