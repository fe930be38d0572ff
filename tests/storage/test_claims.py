"""One SQLite file, one process."""

from pathlib import Path

from llm_backend.storage.claims import Claim


def test_a_file_is_the_first_ones_until_that_one_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "test.db"
    first, second = Claim(file), Claim(file)
    first.close()
    third = Claim(file)

    assert [claim.is_alone for claim in (first, second, third)] == [True, False, True]
    second.close()
    third.close()
