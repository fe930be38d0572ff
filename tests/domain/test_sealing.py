"""What was sealed opens with the same secret, for the same key, and in no other way."""

import pytest

from llm_backend.domain.sealing import Seal
from llm_backend.domain.secrets import Secrets

SEAL = Seal(Secrets(b"x" * 32))


def test_what_was_sealed_opens_again_and_looks_different_each_time() -> None:
    first, second = SEAL.close("a key", "abc"), SEAL.close("a key", "abc")

    assert first != second
    assert (SEAL.open(first, "abc"), SEAL.open(second, "abc")) == ("a key", "a key")


@pytest.mark.parametrize(
    "sealed",
    [b"", b"x", b"x" * 40, SEAL.close("a key", "other"), SEAL.close("a key", "abc")[:-1]],
    ids=["nothing", "short", "long", "of another", "cut"],
)
def test_what_is_not_what_was_sealed_for_the_key_does_not_open(sealed: bytes) -> None:
    assert SEAL.open(sealed, "abc") is None


def test_another_secret_opens_nothing() -> None:
    assert Seal(Secrets(b"y" * 32)).open(SEAL.close("a key", "abc"), "abc") is None
