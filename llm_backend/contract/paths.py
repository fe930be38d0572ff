"""From a method and a path to what stands there, without trying hundreds of patterns in a row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from re import Pattern
from types import MappingProxyType
from typing import Generic, TypeVar

T = TypeVar("T")

Beginning = tuple[str, ...]
"""The first two parts of a path: `("v1", "models")` of `/v1/models/{model}`."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """One method of one path of a document, and what stands there."""

    method: str
    path: str
    """With its parameters in braces."""
    pattern: Pattern[str]
    """Matches the actual paths from their beginning to their end; its groups are the parameters."""
    value: T


class Paths(Generic[T]):
    """Finds what a router would that tries one place after the other: the first with this method and path.

    A path without parameters is one look into a dictionary. The others are tried one by one, of those only that
    begin alike.
    """

    def __init__(self, places: Iterable[Place[T]]) -> None:
        """`places` in the order in which a router tries them."""
        every: dict[str, list[Place[T]]] = {}
        for place in places:
            every.setdefault(place.method, []).append(place)
        self._fixed: dict[tuple[str, str], tuple[T, Mapping[str, str]]] = {}
        self._open: dict[str, list[Place[T]]] = {}
        """By method, those whose parameters come so early that nothing can be told by the beginning."""
        self._alike: dict[tuple[str, Beginning], list[Place[T]]] = {}
        for method, of_method in every.items():
            self._sort(method, [place for place in of_method if "{" in place.path])
            for place in of_method:
                if "{" not in place.path:
                    self._fix(place, of_method)

    def find(self, method: str, path: str) -> tuple[T, Mapping[str, str]] | None:
        """What stands there, and the parameters in the path; None where nothing does."""
        found = self._fixed.get((method, path))
        if found is not None:
            return found
        alike = self._alike.get((method, _beginning(path)))
        for place in self._open.get(method, ()) if alike is None else alike:
            match = place.pattern.match(path)
            if match:
                return place.value, match.groupdict()
        return None

    def _sort(self, method: str, templates: list[Place[T]]) -> None:
        """Put paths with parameters among those that begin alike; the open ones among all, as they may begin so too."""
        opened: list[Place[T]] = []
        alike: dict[Beginning, list[Place[T]]] = {_beginning(each.path): [] for each in templates if not _is_open(each)}
        for place in templates:
            for group in (opened, *alike.values()) if _is_open(place) else (alike[_beginning(place.path)],):
                group.append(place)
        self._open[method] = opened
        self._alike.update({(method, beginning): group for beginning, group in alike.items()})

    def _fix(self, place: Place[T], others: list[Place[T]]) -> None:
        """Note what is found at a path without parameters: an earlier place that takes it too hides the later one."""
        for other in others:
            match = other.pattern.match(place.path)
            if match:
                self._fixed[place.method, place.path] = other.value, match.groupdict()
                return


def _beginning(path: str) -> Beginning:
    return tuple(path.split("/", 3)[1:3])


def _is_open(place: Place[T]) -> bool:
    return any("{" in part for part in _beginning(place.path))
