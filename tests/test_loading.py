"""While a process takes in what it is made of, nothing is collected; afterwards all is as it was before."""

import gc
from collections.abc import Iterator

import pytest

from llm_backend.loading import loading


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Freezing is for the whole process, which here has other tests to run."""
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_loaded_is_neither_collected_meanwhile_nor_looked_through_later() -> None:
    with loading():
        assert not gc.isenabled()
        module = ["stands for one"]

    assert gc.isenabled()
    assert not any(each is module for each in gc.get_objects())


def test_collections_go_on_where_loading_fails() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


def test_whoever_collects_nothing_still_collects_nothing_afterwards() -> None:
    gc.disable()

    with loading():
        pass

    assert not gc.isenabled()
