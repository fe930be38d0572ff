"""API keys: how they look, how they are recognised, how they come and go."""

import hmac
import re
import secrets as randomness
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from zlib import crc32

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.clock import Clock
from llm_backend.domain.identity import EVERY_SCOPE, Caller
from llm_backend.domain.names import checked
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, NotFound, Unauthenticated
from llm_backend.storage import accounts, keys
from llm_backend.storage.database import Database
from llm_backend.storage.keys import Holder, Key

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

KEY_PATTERN = re.compile(r"sk-lb-([0-9A-Za-z]{12})-[0-9A-Za-z]{43}([0-9A-Za-z]{6})")
"""For secret scanners too: public id, 32 random bytes, CRC32 of all before it, each in base 62."""

PUBLIC_ID = re.compile(r"[0-9A-Za-z]{12}")

KEY_FIELDS = ("expires_at", "name", "scopes")

LONGEST_TOKEN = 128
CHECKSUM_DIGITS = 6

PEPPER_VERSION = 1
PEPPER_LABEL = "key-hmac"

NO_DIGEST = bytes(32)
"""Compared with where there is no key, so that an unknown id takes as long as a wrong secret."""

GRACE_LIMIT_SECONDS = 24 * 60 * 60
"""The longest that a rotated key may still be used."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: the only time that its text is known."""

    text: str = field(repr=False)
    key: Key


class Keys:
    """The keys of one database, recognised by an HMAC under a pepper that the database does not hold."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._pepper = secrets.derive(PEPPER_LABEL)
        self._clock = clock

    def digest(self, token: str) -> bytes:
        """What `token` is recognised by: 32 bytes."""
        return hmac.digest(self._pepper, token.encode(), "sha256")

    async def create(
        self,
        account_id: int,
        name: str = "",
        *,
        scopes: Iterable[str] = EVERY_SCOPE,
        expires_at: datetime | None = None,
        by: Author = SERVER,
    ) -> NewKey:
        """A new key of an active account. Raises NotFound where there is none, InvalidRequest for an unknown scope."""
        wanted = frozenset(scopes)
        if not wanted <= EVERY_SCOPE:
            raise InvalidRequest("A scope is unknown.", param="scopes")
        checked(name, "A key's name", least=0)
        return await self._database.detached(self._create(account_id, name, wanted, expires_at, by))

    async def issue(  # noqa: PLR0913, PLR0917 (what a key is, each by name)
        self,
        session: AsyncSession,
        account_id: int,
        name: str = "",
        scopes: frozenset[str] = EVERY_SCOPE,
        expires_at: datetime | None = None,
        by: Author = SERVER,
    ) -> NewKey:
        """A new key, in the transaction of whoever makes its account."""
        made = self._make(account_id, name, scopes, expires_at)
        await keys.add(session, made.key)
        await by.note(session, made.key.created_at, "create", ("key", made.key.public_id), KEY_FIELDS)
        return made

    def _make(self, account_id: int, name: str, scopes: Iterable[str], expires_at: datetime | None) -> NewKey:
        text = make_key()
        key = Key(
            public_id=public_id_of(text),
            account_id=account_id,
            name=name,
            last4=text[-4:],
            digest=self.digest(text),
            pepper_version=PEPPER_VERSION,
            scopes=sorted(scopes),
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        return NewKey(text, key)

    async def of_account(self, account_id: int) -> list[Key]:
        """The account's keys, oldest first, revoked ones too."""
        return await self._database.detached(self._of_account(account_id))

    async def rotate(
        self, public_id: str, *, grace_seconds: int = 0, account_id: int | None = None, by: Author = SERVER
    ) -> NewKey:
        """A new key in the place of one in use, which is refused when the grace is over.

        `account_id`: whose key it has to be, if it matters. Raises NotFound, and InvalidRequest where the grace is too
        long or the key no longer in use.
        """
        if not 0 <= grace_seconds <= GRACE_LIMIT_SECONDS:
            raise InvalidRequest(f"The grace is 0 to {GRACE_LIMIT_SECONDS} seconds.", param="grace_seconds")
        _check_public_id(public_id)
        return await self._database.detached(self._rotate(public_id, grace_seconds, account_id, by))

    async def revoke(self, public_id: str, *, account_id: int | None = None, by: Author = SERVER) -> Key:
        """Refuse the key from now on; once is enough. `account_id` as in `rotate`. Raises NotFound."""
        _check_public_id(public_id)
        return await self._database.detached(self._revoke(public_id, account_id, by))

    async def authenticate(self, public_id: str, digest: bytes) -> Caller:
        """Who holds the key of that id and digest.

        Raises Unauthenticated, DatabaseUnavailable.
        """
        holder = await self._database.detached(self._find(public_id))
        known = holder.key.digest if holder else NO_DIGEST
        if not compare_digest(known, digest) or holder is None:
            raise Unauthenticated
        if not (holder.is_active and holder.key.is_in_use(self._clock.now())):
            raise Unauthenticated
        self._note_use(holder.key)
        return Caller(holder.key.account_id, holder.account_name, public_id, frozenset(holder.key.scopes))

    def _note_use(self, key: Key) -> None:
        """Once a day and beside the request, which does not wait for it."""
        today = self._clock.now().date()
        if key.last_used_on is None or key.last_used_on < today:
            self._database.start(self._used(key.public_id))

    async def _used(self, public_id: str) -> None:
        async with self._database.begin() as session:
            await keys.note_use(session, public_id, self._clock.now().date())

    async def _create(
        self, account_id: int, name: str, scopes: frozenset[str], expires_at: datetime | None, by: Author
    ) -> NewKey:
        async with self._database.begin() as session:
            account = await accounts.find(session, account_id)
            if account is None or not account.active:
                raise NotFound(f"Account with id {account_id} does not exist", param="account_id")
            return await self.issue(session, account_id, name, scopes, expires_at, by)

    async def _rotate(self, public_id: str, grace_seconds: int, account_id: int | None, by: Author) -> NewKey:
        async with self._database.begin() as session:
            old = await _locked(session, public_id, account_id)
            now = self._clock.now()
            if not old.is_in_use(now):
                raise InvalidRequest(f"Key {public_id} is not in use any more", param="key_id")
            made = self._make(old.account_id, old.name, old.scopes, old.expires_at)
            await keys.add(session, made.key)
            end = now + timedelta(seconds=grace_seconds)
            if grace_seconds == 0:
                await keys.revoke(session, public_id, now)
            elif old.expires_at is None or end < old.expires_at:
                await keys.expire(session, public_id, end)
            await by.note(session, now, "rotate", ("key", public_id), ["expires_at" if grace_seconds else "revoked_at"])
            await by.note(session, now, "create", ("key", made.key.public_id), KEY_FIELDS)
            return made

    async def _of_account(self, account_id: int) -> list[Key]:
        async with self._database.reading() as session:
            return await keys.of_account(session, account_id)

    async def _revoke(self, public_id: str, account_id: int | None, by: Author) -> Key:
        async with self._database.begin() as session:
            key = await _locked(session, public_id, account_id)
            now = self._clock.now()
            if not await keys.revoke(session, public_id, now):
                return key
            await by.note(session, now, "revoke", ("key", public_id), ["revoked_at"])
            return replace(key, revoked_at=now)

    async def _find(self, public_id: str) -> Holder | None:
        async with self._database.reading() as session:
            return await keys.find(session, public_id)


async def _locked(session: AsyncSession, public_id: str, account_id: int | None) -> Key:
    key = await keys.lock(session, public_id)
    if key is None or account_id not in (None, key.account_id):
        raise _unknown(public_id)
    return key


def _check_public_id(public_id: str) -> None:
    """Raises NotFound for what no key can be called, which no database is asked about."""
    if not PUBLIC_ID.fullmatch(public_id):
        raise _unknown(public_id)


def _unknown(public_id: str) -> NotFound:
    named = f"Key {public_id}" if PUBLIC_ID.fullmatch(public_id) else "This key"
    return NotFound(f"{named} does not exist", param="key_id")


def make_key() -> str:
    """A key that nobody has had: 256 bits of chance."""
    public_id = "".join(randomness.choice(ALPHABET) for _ in range(12))
    body = f"sk-lb-{public_id}-{base62(randomness.randbits(256), 43)}"
    return body + checksum(body)


def public_id_of(token: str) -> str:
    """The public id in a key of our shape. Raises Unauthenticated for everything else, before any work is done."""
    # The length first: no pattern is tried on a megabyte.
    shape = KEY_PATTERN.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if shape is None or checksum(token[:-CHECKSUM_DIGITS]) != shape[2]:
        raise Unauthenticated
    return shape[1]


def checksum(body: str) -> str:
    """The last digits of a key, by which a mistyped one is told without a question to the database."""
    return base62(crc32(body.encode()), CHECKSUM_DIGITS)


def base62(number: int, digits: int) -> str:
    """`number`, most significant digit first, filled with zeros."""
    found = ""
    for _ in range(digits):
        number, digit = divmod(number, len(ALPHABET))
        found = ALPHABET[digit] + found
    return found
