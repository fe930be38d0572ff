"""API keys: how they are recognised, how they come and go."""

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, TypeVar, Unpack

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import key_changes
from llm_backend.domain.allowances import Allowance
from llm_backend.domain.audit import SERVER, Author, Operation
from llm_backend.domain.clock import Clock
from llm_backend.domain.end_users import EndUserTerms
from llm_backend.domain.identity import EVERY_SCOPE, Caller
from llm_backend.domain.key_changes import unknown
from llm_backend.domain.key_terms import KeyChanges, KeyTerms, columns
from llm_backend.domain.key_text import (
    KEY_PATTERN,
    PREFIX,
    PUBLIC_ID,
    PUBLIC_ID_DIGITS,
    base62,
    is_foreign,
    is_ours,
    make_key,
    public_id_of,
)
from llm_backend.domain.readings import Readings
from llm_backend.domain.sealing import Seal
from llm_backend.domain.secrets import Secrets
from llm_backend.domain.uses import Uses
from llm_backend.errors import InvalidRequest, NotFound, Unauthenticated
from llm_backend.storage import accounts, keys
from llm_backend.storage.database import Database
from llm_backend.storage.keys import Holder, Key

__all__ = ["GRACE_LIMIT_SECONDS", "KEY_PATTERN", "Keys", "NewKey", "make_key", "public_id_of"]

T = TypeVar("T")

USUAL = {"trusted_frontend": False, "end_user_renewal": "never"}
"""What a key has that nobody said anything of."""

KEY_FIELDS = frozenset({"expires_at", "name", "scopes"})
"""What every new key is given."""

PEPPER_VERSION = 1
ADOPTED_VERSION = 2
"""Keys of another system have a pepper of their own: none of either kind is ever taken for one of the other."""
PEPPER_LABELS = {PEPPER_VERSION: "key-hmac", ADOPTED_VERSION: "adopted-key-hmac"}

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
    """The keys of one database, recognised by an HMAC under peppers that the database does not hold."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock, *, recoverable: bool = False) -> None:
        """`recoverable`: whether the text of keys is kept, encrypted, for the administrator to read again."""
        self._database = database
        self._peppers = {version: secrets.derive(label) for version, label in PEPPER_LABELS.items()}
        self._clock = clock
        self._seal = Seal(secrets) if recoverable else None
        self._readings = Readings(database, self._holders)
        self._uses = Uses(database, clock)

    def digest(self, token: str) -> bytes:
        """What `token` is recognised by: 32 bytes."""
        return hmac.digest(self._peppers[_version(token)], token.encode(), "sha256")

    def identify(self, token: str) -> tuple[str, bytes]:
        """The public id and digest of what has the shape of a key. Raises Unauthenticated for everything else."""
        if not is_foreign(token):
            return public_id_of(token), self.digest(token)
        digest = self.digest(token)
        return base62(int.from_bytes(digest), PUBLIC_ID_DIGITS), digest

    async def create(
        self, account_id: int, name: str = "", *, by: Author = SERVER, **terms: Unpack[KeyTerms]
    ) -> NewKey:
        """A new key of an active account. Raises NotFound where there is none, InvalidRequest for what none may be."""
        values = columns(KeyChanges(name=name, **terms))
        return await self._changing(lambda session: self._create(session, account_id, values, by))

    async def issue(self, session: AsyncSession, account_id: int, by: Author = SERVER) -> NewKey:
        """A new key, in the transaction of whoever makes its account."""
        return await self._add(session, account_id, make_key(), {}, by)

    async def adopt(self, session: AsyncSession, account_id: int, text: str, by: Author) -> Key:
        """A key of another system that goes on to work; one that the account has already is left as it is.

        Raises InvalidRequest for what is no key, and for the key of another account.
        """
        if not (is_foreign(text) or is_ours(text)):
            raise InvalidRequest("A key is 16 to 128 printable ASCII characters.", param="api_key")
        public_id, digest = self.identify(text)
        known = await keys.lock(session, public_id)
        if known is None:
            return (await self._add(session, account_id, text, {}, by)).key
        if known.account_id != account_id or not compare_digest(known.digest, digest):
            raise InvalidRequest("The key is that of another account.", param="api_key")
        return known

    async def adopted(self) -> frozenset[str]:
        """The public ids of all keys that were taken over from another system and not revoked."""
        return await self._database.detached(self._adopted())

    async def of_account(self, account_id: int, after: str | None = None, limit: int | None = None) -> list[Key]:
        """The account's keys, oldest first, revoked ones too: all, or the first `limit` behind the key `after`."""
        return await self._database.detached(self._of_account(account_id, after, limit))

    async def find(self, public_id: str, account_id: int | None = None) -> Key:
        """One key. `account_id`: whose it has to be, if it matters. Raises NotFound."""
        _check_public_id(public_id)
        holder = await self._database.detached(self._find(public_id))
        if holder is None or account_id not in (None, holder.key.account_id):
            raise unknown(public_id)
        return holder.key

    async def read(self, known: Iterable[Key], by: Author) -> dict[str, str]:
        """The texts of those that are kept so that they can be read again, by public id. Each reading is audited."""
        texts = {key.public_id: text for key in known if (text := self._text(key)) is not None}
        if texts:
            now = self._clock.now()
            await self._changing(lambda session: by.note_each(session, now, "read", "key", texts))
        return texts

    async def update(
        self, public_id: str, changes: KeyChanges, *, account_id: int | None = None, by: Author = SERVER
    ) -> Key:
        """It, changed. `account_id` as in `find`. Raises NotFound, and InvalidRequest where it is revoked."""
        _check_public_id(public_id)
        values = columns(changes)
        now = self._clock.now()
        return await self._changing(lambda session: key_changes.update(session, public_id, values, account_id, by, now))

    async def rotate(
        self, public_id: str, *, grace_seconds: int = 0, account_id: int | None = None, by: Author = SERVER
    ) -> NewKey:
        """A new key in the place of one in use, which is refused when the grace is over.

        The new one may do what the old one may, and goes on with its budget. `account_id` as in `find`.
        Raises NotFound, and InvalidRequest where the grace is too long or the key no longer in use.
        """
        if not 0 <= grace_seconds <= GRACE_LIMIT_SECONDS:
            raise InvalidRequest(f"The grace is 0 to {GRACE_LIMIT_SECONDS} seconds.", param="grace_seconds")
        _check_public_id(public_id)
        return await self._changing(lambda session: self._rotate(session, public_id, grace_seconds, account_id, by))

    async def revoke(
        self, public_id: str, *, account_id: int | None = None, by: Author = SERVER, operation: Operation = "revoke"
    ) -> Key:
        """Refuse the key from now on; once is enough. `account_id` as in `find`. Raises NotFound."""
        _check_public_id(public_id)
        now = self._clock.now()
        return await self._changing(
            lambda session: key_changes.revoke(session, public_id, account_id, by, now, operation)
        )

    async def authenticate(self, public_id: str, digest: bytes) -> Caller:
        """Who holds the key of that id and digest.

        Raises Unauthenticated, DatabaseUnavailable.
        """
        holder = await self._readings.of(public_id)
        known = holder.key.digest if holder else NO_DIGEST
        if not compare_digest(known, digest) or holder is None:
            raise Unauthenticated
        if not (holder.is_active and holder.key.is_in_use(self._clock.now())):
            raise Unauthenticated
        self._uses.note(holder.key)
        return caller_of(holder)

    def forget(self) -> None:
        """Read anew what somebody may have changed while it was being read."""
        self._readings.forget()

    def _text(self, key: Key) -> str | None:
        if self._seal is None or key.sealed is None:
            return None
        text = self._seal.open(key.sealed, key.public_id)
        if text is None:
            structlog.get_logger("llm_backend.keys").error("sealed_key_unreadable", key_id=key.public_id)
        return text

    async def _changing(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """What `work` returns, all of it done in one transaction."""

        async def change() -> T:
            async with self._database.begin() as session:
                return await work(session)

        return await self._database.detached(change())

    async def _create(self, session: AsyncSession, account_id: int, values: dict[str, Any], by: Author) -> NewKey:
        account = await accounts.find(session, account_id)
        if account is None or not account.active:
            raise NotFound(f"Account with id {account_id} does not exist", param="account_id")
        return await self._add(session, account_id, make_key(), values, by)

    async def _add(
        self, session: AsyncSession, account_id: int, text: str, values: dict[str, Any], by: Author
    ) -> NewKey:
        """Keep the key whose text that is; `values` are what it may do, by column."""
        public_id, digest = self.identify(text)
        made = Key(
            public_id=public_id,
            account_id=account_id,
            last4=text[-4:],
            digest=digest,
            pepper_version=_version(text),
            created_at=self._clock.now(),
            sealed=self._seal.close(text, public_id) if self._seal else None,
            **{"name": "", "scopes": sorted(EVERY_SCOPE)} | values,
        )
        await keys.add(session, made)
        await by.note(session, made.created_at, "create", ("key", public_id), KEY_FIELDS | values.keys())
        return NewKey(text, made)

    async def _rotate(
        self, session: AsyncSession, public_id: str, grace_seconds: int, account_id: int | None, by: Author
    ) -> NewKey:
        now = self._clock.now()
        old = await key_changes.in_use(session, public_id, account_id, now)
        may = {name: getattr(old, name) for name in KeyChanges.__annotations__}
        may = {name: value for name, value in may.items() if value is not None and value != USUAL.get(name)}
        made = await self._add(session, old.account_id, make_key(), may, by)
        await key_changes.retire(session, old, made.key.public_id, grace_seconds, by, now)
        return made

    async def _of_account(self, account_id: int, after: str | None, limit: int | None) -> list[Key]:
        async with self._database.reading() as session:
            return await keys.of_account(session, account_id, after, limit)

    async def _find(self, public_id: str) -> Holder | None:
        return (await self._holders([public_id])).get(public_id)

    async def _holders(self, public_ids: Collection[str]) -> dict[str, Holder]:
        return await self._database.read(lambda: keys.finding(public_ids, is_sqlite=self._database.is_sqlite))

    async def _adopted(self) -> frozenset[str]:
        async with self._database.reading() as session:
            return await keys.adopted(session, ADOPTED_VERSION)


def _version(token: str) -> int:
    return PEPPER_VERSION if token.startswith(PREFIX) else ADOPTED_VERSION


def caller_of(holder: Holder) -> Caller:
    """Whoever asks with that key."""
    key = holder.key
    return Caller(
        key.account_id,
        holder.account_name,
        key.public_id,
        frozenset(key.scopes),
        None if key.models is None else frozenset(key.models),
        Allowance(key.requests_per_minute, key.tokens_per_minute, key.concurrent_requests),
        Allowance(holder.requests_per_minute, holder.tokens_per_minute, holder.concurrent_requests),
        end_users=_end_user_terms(key) if key.trusted_frontend else None,
        fits=holder.fits,
        stores=holder.stores,
    )


def _end_user_terms(key: Key) -> EndUserTerms:
    limits = Allowance(
        key.end_user_requests_per_minute, key.end_user_tokens_per_minute, key.end_user_concurrent_requests
    )
    return EndUserTerms(key.end_user_token_limit, key.end_user_microusd_limit, key.end_user_renewal, limits)


def _check_public_id(public_id: str) -> None:
    """Raises NotFound for what no key can be called, which no database is asked about."""
    if not PUBLIC_ID.fullmatch(public_id):
        raise unknown(public_id)
