"""What fits under a ceiling, where more than tokens is sold."""

import pytest

from llm_backend.domain.granting import Ask, grant
from llm_backend.domain.usage import Price, Units
from llm_backend.errors import BudgetExhausted
from llm_backend.storage.ledger_rows import Sums

PRICE = Price(output_microusd=1_000_000, images_microusd=40_000_000_000)
ASK = Ask(10, 500, price=PRICE, units=Units(images=2))


def with_room(microusd: int) -> Sums:
    return Sums(1, 1, "", None, microusd, 0, 0, 0, 0, False, False, None, None, is_current=True, budgets=1)


def test_pieces_are_held_back_at_their_price_and_what_is_left_is_for_the_answer() -> None:
    whole = grant(ASK, [with_room(90_000)])
    shortened = grant(ASK, [with_room(80_100)])

    assert (whole.output_tokens, whole.reserved_tokens, whole.reserved_microusd) == (500, 510, 80_500)
    assert (shortened.output_tokens, shortened.reserved_microusd) == (100, 80_100)


def test_pieces_that_are_not_paid_for_are_refused_with_what_they_cost() -> None:
    with pytest.raises(BudgetExhausted, match="80001 micro-dollars; 79999 of 79999 are left"):
        grant(ASK, [with_room(79_999)])
