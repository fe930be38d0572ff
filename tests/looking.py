"""What coverage looks at, and how fast: looked at, a test takes twice as long, and a line is reached once or never."""

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from coverage import Coverage

ASKING_MUCH = (
    "tests/benchmarks/",
    "tests/faults/test_chunkings.py",
    "tests/faults/test_secrets_and_sizes.py",
    "tests/proof/",
    "tests/storage/test_growth",
    "tests/storage/test_query_plans.py",
    "tests/whole/",
)
"""They ask hundreds of times for what others ask for once, as what is drawn by hypothesis does, or start servers that
others start too."""

AS_COMMANDS = ("tests/whole/test_start_refusals.py",)
"""What the commands say that serve, which no other test has them say."""

OF_EACH_DATABASE = ("tests/storage/", "tests/domain/")
"""Where one database is asked otherwise than the other; elsewhere the second reaches what the first does."""


class ByGreenlet(dict[Any, int]):
    """As a WeakKeyDictionary of greenlets, in C: those that have ended go when the next one begins."""

    def __setitem__(self, key: Any, value: int) -> None:
        for ended in [each for each in self if each.dead]:
            del self[ended]
        super().__setitem__(key, value)


@contextmanager
def quick() -> Iterator[None]:
    """Coverage that is started now looks up the greenlet, at each call and return of anything, without calling Python.

    That was half of what it took. It makes the dictionary at the first call that it sees; where it does so in another
    way, nothing changes.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weakref, "WeakKeyDictionary", ByGreenlet)
        yield


def is_looked_at(item: pytest.Item) -> bool:
    is_drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    if is_drawn or (item.nodeid.startswith(ASKING_MUCH) and not item.nodeid.startswith(AS_COMMANDS)):
        return False
    callspec = getattr(item, "callspec", None)
    is_second = callspec is not None and "postgresql" in callspec.params.values()
    return not is_second or item.nodeid.startswith(OF_EACH_DATABASE)


@contextmanager
def unseen() -> Iterator[None]:
    """Nothing of what runs meanwhile is measured, in this process or in those that it starts.

    What is made once a process may be made here: then a line is said to be unreached that was reached, never the other
    way about.
    """
    if Coverage.current() is None:
        yield
        return
    tracer, threads_tracer = sys.gettrace(), threading.gettrace()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        threading.settrace(None)
        sys.settrace(None)
        try:
            yield
        finally:
            sys.settrace(tracer)
            threading.settrace(threads_tracer)
