"""What is shown of an upstream's list that is everybody's."""

from llm_backend.domain.own_lists import Window
from llm_backend.errors import Json


def page(*ids: str, more: bool = True) -> Json:
    return {"data": [{"id": each} for each in ids], "has_more": more}


def own(*ids: str) -> list[Json]:
    return [{"id": each} for each in ids]


def test_pages_are_read_until_there_is_one_more_than_is_shown() -> None:
    window = Window(limit=2, left=9, backwards=False)

    window.take(page("a1", "b1", "b2"), own("a1"))
    assert (window.is_over, window.cursor) == (False, "b2")
    window.take(page("a2", "b3"), own("a2"))
    assert (window.is_over, window.cursor) == (False, "b3")
    window.take(page("b4", "a3"), own("a3"))

    assert window.is_over
    assert window.shown() == {
        "object": "list", "data": own("a1", "a2"), "first_id": "a1", "last_id": "a2", "has_more": True,
    }  # fmt: skip


def test_a_list_is_over_when_all_that_one_has_was_found() -> None:
    window = Window(limit=20, left=1, backwards=False)

    window.take(page("b1", "a1"), own("a1"))

    assert window.is_over
    assert window.shown()["has_more"] is False


def test_a_list_read_backwards_keeps_its_order_and_what_is_nearest() -> None:
    window = Window(limit=2, left=9, backwards=True)

    window.take(page("b1", "a3"), own("a3"))
    assert window.cursor == "b1"
    window.take(page("a1", "a2", more=False), own("a1", "a2"))

    assert window.shown()["data"] == own("a2", "a3")
    assert window.shown()["has_more"] is True


def test_an_upstream_that_gives_the_same_page_for_ever_is_not_asked_for_ever() -> None:
    window = Window(limit=2, left=9, backwards=False)
    window.take(page("b1", "b2"), [])

    window.take(page("b1", "b2"), [])

    assert window.is_over
    assert window.shown() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
