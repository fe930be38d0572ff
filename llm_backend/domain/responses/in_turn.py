"""Items told one after the other, each to its end before the next begins, in whatever order their pieces come."""

from collections.abc import Callable, Sequence

from llm_backend.domain.responses.growing import COMPLETED, Event, Item


class InTurn:
    """The items of one answer. What comes for one whose turn is not yet waits for it."""

    def __init__(self, is_whole: Callable[[Item], bool]) -> None:
        """`is_whole`: whether nothing more can come of an item, once another has begun."""
        self._is_whole = is_whole
        self._items: list[Item] = []
        self._turn = 0
        self._waiting: dict[int, list[Event]] = {}

    @property
    def items(self) -> Sequence[Item]:
        """All of them, in the order in which they began."""
        return self._items

    def has_turn(self, item: Item) -> bool:
        """Whether what comes for it is told at once."""
        return item.index == self._turn

    def add(self, item: Item) -> list[Event]:
        """Begin an item behind the others; what may be told now."""
        self._items.append(item)
        return [*self.pass_on(), *self.tell(item, [item.added()])]

    def tell(self, item: Item, events: list[Event]) -> list[Event]:
        """Those of an item's `events` that may be told now: all, or none."""
        if item.index == self._turn:
            return events
        self._waiting.setdefault(item.index, []).extend(events)
        return []

    def pass_on(self) -> list[Event]:
        """End what is whole and has others behind it; what may be told now."""
        events: list[Event] = []
        while self._turn < len(self._items) - 1:
            item = self._items[self._turn]
            if not item.is_done and not self._is_whole(item):
                break
            events += item.finish({}, COMPLETED)
            self._turn += 1
            events += self._waiting.pop(self._turn, ())
        return events

    def end(self, item: Item, status: str) -> list[Event]:
        """End an item before which all others have ended, and tell all of it that was not told."""
        self._turn = item.index
        return [*self._waiting.pop(item.index, ()), *item.finish({}, status)]
