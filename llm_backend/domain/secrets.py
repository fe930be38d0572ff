"""One master secret, and everything that is derived from it, each for one purpose."""

import hmac
import os
import secrets
from pathlib import Path

from llm_backend.domain.clock import Clock
from llm_backend.storage import installation
from llm_backend.storage.database import Database

SECRET_FILE = "llm-backend.secret"  # noqa: S105 (a name of a file)
"""Beside the SQLite file, where no secret was configured."""

SHORTEST_BYTES = 32


class SecretRefused(Exception):
    """There is no secret to serve with; the message is the one line to print."""


class SecretMissing(SecretRefused):
    """No secret is configured, and none may be made up."""


class SecretTooShort(SecretRefused):
    """The secret could be guessed."""


class SecretChanged(SecretRefused):
    """Not the secret that this database's keys were made with: none of them would be known."""


class Secrets:
    """What is derived from the master secret, by label. Two purposes never share a label."""

    def __init__(self, master: bytes) -> None:
        # HKDF (RFC 5869) with SHA-256 and no salt; one block is all that is ever asked for. Two lines here, six
        # megabytes in every process as a library.
        self._extracted = hmac.digest(bytes(32), master, "sha256")

    def __repr__(self) -> str:
        return "Secrets(…)"

    def derive(self, label: str) -> bytes:
        """32 bytes for the purpose `label`: always the same, and telling nothing of the others."""
        return hmac.digest(self._extracted, b"llm-backend/" + label.encode() + b"\x01", "sha256")


def load_master_secret(configured: str | None, home: Path, database_is_sqlite: bool) -> bytes:  # noqa: FBT001 (read by name)
    """The configured secret; without one, that of the file in `home`, made if missing, but for SQLite only.

    `home` is the database's folder. Raises SecretMissing or SecretTooShort.
    """
    if configured:
        return _long_enough(configured.strip().encode(), "SECRET_KEY")
    if not database_is_sqlite:
        raise SecretMissing("SECRET_KEY is not set: with PostgreSQL every replica needs the same, 32 bytes or more.")
    file = home / SECRET_FILE
    if not file.exists():
        _make(file)
    return _long_enough(file.read_bytes().strip(), str(file))


async def unlock(database: Database, configured: str | None, clock: Clock) -> Secrets:
    """The secrets of `database`: loaded, or made on its first use, and known to be the ones it was first used with.

    Raises SecretRefused and DatabaseUnavailable.
    """
    async with database.reading() as session:
        noted = await installation.secret_digest(session)
    home = database.folder or Path()
    if noted and not configured and database.is_sqlite and not (home / SECRET_FILE).exists():
        raise SecretMissing(
            f"{home / SECRET_FILE} is gone: without it, or SECRET_KEY, no key of this database is known."
        )
    unlocked = Secrets(load_master_secret(configured, home, database.is_sqlite))
    digest = unlocked.derive("installation")
    noted = noted or await _note(database, digest, clock)
    if not hmac.compare_digest(noted, digest):
        raise SecretChanged("The secret is not the one that this database's keys were made with: set that SECRET_KEY.")
    return unlocked


async def _note(database: Database, digest: bytes, clock: Clock) -> bytes:
    """What the database knows its secret by: `digest`, unless another process was first."""
    async with database.begin() as session:
        await installation.note_secret(session, digest, clock.now())
        return await installation.secret_digest(session) or digest


def _long_enough(secret: bytes, where: str) -> bytes:
    if len(secret) < SHORTEST_BYTES:
        raise SecretTooShort(f"The secret in {where} is shorter than {SHORTEST_BYTES} bytes.")
    return secret


def _make(file: Path) -> None:
    """Make the file, whole and ours alone from its first moment; of two processes at once, one makes it."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_hex(SHORTEST_BYTES).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        # A link, not a rename: it fails where the other process was first, and that one's secret holds.
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
