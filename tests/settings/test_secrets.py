"""Secrets: from files, and never shown."""

from pathlib import Path

from tests.settings.loading import POSTGRES, SECRET, Load, refused


def test_a_secret_may_stand_in_a_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")

    settings = load(SECRET_KEY_FILE="secret")

    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == SECRET


def test_a_secret_given_twice_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)

    assert refused(load, SECRET_KEY=SECRET, SECRET_KEY_FILE="secret") == (
        "SECRET_KEY and SECRET_KEY_FILE are both set: set one of them.",
    )


def test_a_missing_and_an_empty_secret_file_are_refused_by_name(load: Load, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert refused(load, ADMIN_TOKEN_FILE="gone") == (
        f"ADMIN_TOKEN_FILE: {tmp_path}/gone cannot be read: No such file or directory.",
    )
    assert refused(load, ADMIN_TOKEN_FILE="empty") == (f"ADMIN_TOKEN_FILE: {tmp_path}/empty is empty.",)


def test_a_url_without_a_readable_password_has_none_to_tell(load: Load) -> None:
    assert load(REDIS_URL="redis://[half", SECRET_KEY=SECRET).secrets == (SECRET,)


def test_a_password_of_any_signs_is_told_whole(load: Load) -> None:
    assert "p/a?s#s:" in load(DATABASE_URL="postgresql://u:p/a?s#s:@h/d", SECRET_KEY=SECRET).secrets


def test_no_secret_shows_in_a_representation(load: Load) -> None:
    settings = load(OPENAI_API_KEY="canary-1234", ADMIN_TOKEN="canary-1234", **POSTGRES)

    assert "canary" not in repr(settings)
    assert "pass-word-1" not in repr(settings)


def test_the_log_is_told_every_secret(load: Load) -> None:
    settings = load(OPENAI_API_KEY="canary-1234", ADMIN_TOKEN="a" * 32, REDIS_URL="redis://:red-is@h", **POSTGRES)

    assert set(settings.secrets) == {"canary-1234", "a" * 32, SECRET, "pass-word-1", "red-is"}
