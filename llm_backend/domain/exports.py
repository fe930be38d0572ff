"""Everything, or all of one account or user, as JSON lines that can be read in again.

The first line says what the file is, the last how many lines of each kind came between and what their SHA-256 is. Bytes
are base64, moments ISO 8601 in UTC. Of keys there is what recognises them, and no key.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from contextlib import aclosing
from tempfile import TemporaryFile
from typing import IO, Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.clock import Clock
from llm_backend.domain.snapshots import snapshot
from llm_backend.errors import NotFound
from llm_backend.storage import dumps, installation, schema
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import KINDS, Scope

FORMAT = "llm-backend export"
VERSION = 1

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""


def untold(_done: int, _total: int) -> None:
    """For whoever does not look at the progress."""


class Exports:
    """Reads one database; changes nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def write(self, scope: Scope, out: IO[bytes], progress: Progress = untold) -> dict[str, int]:
        """All of it to `out`, as it was at one moment; the number of lines of each kind. Raises NotFound."""
        digest = hashlib.sha256()

        def say(*values: Any) -> None:
            lines = b"".join(orjson.dumps(value, default=_text, option=orjson.OPT_APPEND_NEWLINE) for value in values)
            digest.update(lines)
            out.write(lines)

        async with snapshot(self._database) as session:
            there = {kind.name: await dumps.count(session, kind, scope) for kind in KINDS}
            _refuse_nobody(scope, there)
            say(await self._header(session, scope))
            counts = dict.fromkeys(there, 0)
            for kind in KINDS:
                async with aclosing(dumps.pages(session, kind, scope)) as pages:
                    async for page in pages:
                        say(*({"kind": kind.name, "row": row} for row in page))
                        counts[kind.name] += len(page)
                        progress(sum(counts.values()), sum(there.values()))
        say({"kind": "end", "counts": counts, "sha256": digest.hexdigest()})
        return counts

    async def spooled(self, account_id: int) -> IO[bytes]:
        """All of an account, in a file without a name: however slowly it is read, no connection waits for it.

        Raises NotFound.
        """
        return await self._database.detached(self._spool(Scope(account_id)))

    async def _spool(self, scope: Scope) -> IO[bytes]:
        file = TemporaryFile()  # noqa: SIM115 (whoever reads it closes it)
        try:
            await self.write(scope, file)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    async def _header(self, session: AsyncSession, scope: Scope) -> dict[str, Any]:
        secret = await installation.secret_digest(session)
        return {
            "kind": "export",
            "format": FORMAT,
            "version": VERSION,
            "schema": schema.head(),
            "made_at": self._clock.now(),
            "account_id": scope.account_id,
            "user_code": scope.user_code,
            "secret": fingerprint(secret),
        }


def fingerprint(secret_digest: bytes | None) -> str | None:
    """By which two databases with the same secret are told; of the secret it says nothing."""
    return hashlib.sha256(secret_digest).hexdigest()[:16] if secret_digest else None


def _refuse_nobody(scope: Scope, there: dict[str, int]) -> None:
    if scope.account_id is not None and not there["account"]:
        raise NotFound(f"Account with id {scope.account_id} does not exist", param="account_id")
    if scope.user_code is not None and not there["user"]:
        raise NotFound(f"User with code {scope.user_code} does not exist", param="user")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError
