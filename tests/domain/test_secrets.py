import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from llm_backend.domain.secrets import (
    SECRET_FILE,
    SecretChanged,
    SecretMissing,
    Secrets,
    SecretTooShort,
    load_master_secret,
    unlock,
)
from llm_backend.storage.database import Database
from tests.clocks import SetClock
from tests.databases import ON_POSTGRESQL, ON_SQLITE

CONFIGURED = "a configured secret of more than 32 bytes"
CLOCK = SetClock()


def test_purposes_get_secrets_that_tell_nothing_of_each_other() -> None:
    secrets = Secrets(b"x" * 32)

    derived = {secrets.derive(label) for label in ("key-hmac", "upstream-enc", "idem-hash", "cursor-sign")}

    assert len(derived) == 4
    assert {len(one) for one in derived} == {32}
    assert secrets.derive("key-hmac") == Secrets(b"x" * 32).derive("key-hmac") != Secrets(b"y" * 32).derive("key-hmac")
    assert "xxx" not in repr(secrets)


def test_derivation_is_hkdf_of_sha256_so_that_others_can_repeat_it() -> None:
    of_the_library = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"llm-backend/key-hmac").derive(b"x" * 33)

    assert Secrets(b"x" * 33).derive("key-hmac") == of_the_library


def test_a_configured_secret_is_taken_and_no_file_is_made(tmp_path: Path) -> None:
    assert load_master_secret(CONFIGURED + "\n", tmp_path, database_is_sqlite=True) == CONFIGURED.encode()
    assert list(tmp_path.iterdir()) == []


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretTooShort):
        load_master_secret("x" * 31, tmp_path, database_is_sqlite=False)


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = load_master_secret(None, tmp_path, database_is_sqlite=True)

    assert load_master_secret(None, tmp_path, database_is_sqlite=True) == first
    assert len(first) >= 32
    assert [file.name for file in tmp_path.iterdir()] == [SECRET_FILE]
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600


def test_of_many_that_make_the_secret_at_once_all_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: load_master_secret(None, tmp_path, database_is_sqlite=True), range(64)))

    assert len(found) == 1
    assert [file.name for file in tmp_path.iterdir()] == [SECRET_FILE]


def test_a_secret_file_that_was_emptied_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("")

    with pytest.raises(SecretTooShort):
        load_master_secret(None, tmp_path, database_is_sqlite=True)


def test_no_secret_is_made_up_for_a_server(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing) as refused:
        load_master_secret(None, tmp_path, database_is_sqlite=False)

    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


async def test_a_database_opens_with_the_secret_it_was_first_used_with_only(database: Database) -> None:
    first = await unlock(database, CONFIGURED, CLOCK)

    again = await unlock(database, CONFIGURED, CLOCK)
    assert again.derive("key-hmac") == first.derive("key-hmac")
    with pytest.raises(SecretChanged) as refused:
        await unlock(database, CONFIGURED[::-1], CLOCK)
    assert "\n" not in str(refused.value)


@ON_SQLITE
async def test_without_a_configured_secret_one_is_made_beside_the_file(database: Database, tmp_path: Path) -> None:
    first = await unlock(database, None, CLOCK)

    assert (tmp_path / SECRET_FILE).exists()
    assert (await unlock(database, None, CLOCK)).derive("a") == first.derive("a")


@ON_SQLITE
async def test_a_secret_that_was_lost_is_asked_for_and_not_replaced(database: Database, tmp_path: Path) -> None:
    await unlock(database, None, CLOCK)
    (tmp_path / SECRET_FILE).unlink()

    with pytest.raises(SecretMissing):
        await unlock(database, None, CLOCK)

    assert not (tmp_path / SECRET_FILE).exists()


@ON_POSTGRESQL
async def test_a_server_is_not_opened_without_a_configured_secret(database: Database) -> None:
    with pytest.raises(SecretMissing):
        await unlock(database, None, CLOCK)
