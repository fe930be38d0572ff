"""How a process takes in what it is made of: without looking for garbage in it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Within, nothing is collected; what is there at the end is never looked through again.

    Modules and what is built at start stay as long as the process. Collections in between would go through all of it
    time after time, a quarter of what a start costs, and find next to nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
