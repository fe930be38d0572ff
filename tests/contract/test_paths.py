"""Whatever the places and the path, what is found is what trying one place after the other would find."""

import re

from hypothesis import given
from hypothesis import strategies as some
from starlette.routing import compile_path

from llm_backend.contract.paths import Paths, Place

METHODS = ("GET", "POST")
PARTS = ("a", "b", "c.d", "{x}", "{y}", "{z:path}")

templates = some.lists(some.sampled_from(PARTS), max_size=4, unique=True).map(lambda parts: "/" + "/".join(parts))
asked = some.lists(some.sampled_from(["a", "b", "c.d", "cxd", "", "e"]), max_size=5).map("/".join)


def place(method: str, path: str, value: int) -> Place[int]:
    return Place(method, path, compile_path(path)[0], value)


def in_a_row(places: list[Place[int]], method: str, path: str) -> tuple[int, dict[str, str]] | None:
    """As a router finds it."""
    for each in places:
        match = each.pattern.match(path)
        if match and each.method == method:
            return each.value, match.groupdict()
    return None


@given(some.lists(some.tuples(some.sampled_from(METHODS), templates), max_size=12), some.data())
def test_the_first_place_with_the_method_and_path_is_found(drawn: list[tuple[str, str]], data: some.DataObject) -> None:
    places = [place(method, path, number) for number, (method, path) in enumerate(drawn)]
    paths = Paths(places)
    fixed = [re.sub("[{}:]", "", path) for _, path in drawn]

    for path in [*fixed, *(f"/{data.draw(asked)}" for _ in range(5))]:
        for method in METHODS:
            assert paths.find(method, path) == in_a_row(places, method, path)


def test_a_place_that_takes_slashes_hides_what_comes_after_it() -> None:
    paths = Paths([place("GET", "/v1/models/{model:path}", 1), place("GET", "/v1/models/mine", 2)])

    assert paths.find("GET", "/v1/models/mine") == (1, {"model": "mine"})
    assert paths.find("GET", "/v1/models/org/name/x") == (1, {"model": "org/name/x"})
    assert paths.find("POST", "/v1/models/mine") is None


def test_a_parameter_may_come_before_anything_tells_places_apart() -> None:
    paths = Paths([place("GET", "/{any}", 1), place("GET", "/docs/{asset}", 2), place("GET", "/docs/a/{b}", 3)])

    assert paths.find("GET", "/x") == (1, {"any": "x"})
    assert paths.find("GET", "/docs/a") == (2, {"asset": "a"})
    assert paths.find("GET", "/docs/a/b") == (3, {"b": "b"})
