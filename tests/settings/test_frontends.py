"""What chat interfaces sign with when they say for whom they ask: a secret like the others."""

from pathlib import Path

from llm_backend.settings import load_with_origins
from llm_backend.settings.explain import MASK, explain
from tests.settings.loading import Load, refused

CANARY = "canary-of-a-frontend-of-32-bytes"


def test_it_is_not_set_unless_it_is_said(load: Load) -> None:
    assert load().frontends.jwt_secret is None


def test_nobody_sees_it(load: Load, tmp_path: Path) -> None:
    shown = {row.name: row.value for row in explain(load_with_origins({"FRONTEND_JWT_SECRET": CANARY}, tmp_path))}

    assert load(FRONTEND_JWT_SECRET=CANARY).secrets == (CANARY,)
    assert shown["frontends.jwt_secret"] == MASK


def test_it_may_stand_in_a_file(load: Load, load_file: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CANARY}\n")

    named_by_variable = load(FRONTEND_JWT_SECRET_FILE="secret")
    named_by_file = load_file('[frontends]\njwt_secret_file = "secret"\n')

    assert named_by_variable.secrets == named_by_file.secrets == (CANARY,)


def test_one_that_could_be_guessed_is_refused(load: Load) -> None:
    (problem,) = refused(load, FRONTEND_JWT_SECRET=CANARY[:31])

    assert "32 bytes" in problem
    assert "canary" not in problem
