"""Who may come in: the holder of a key, the administrator, or, where the door is open, everyone."""

import asyncio
import hmac
from collections import OrderedDict
from hashlib import sha256
from typing import Generic, TypeVar

from llm_backend.domain.callers import keyless
from llm_backend.domain.clock import Clock
from llm_backend.domain.identity import Caller
from llm_backend.domain.key_text import LONGEST_TOKEN, is_ours
from llm_backend.domain.keys import Keys
from llm_backend.domain.lockout import Lockout
from llm_backend.errors import Unauthenticated
from llm_backend.storage.accounts import Account

T = TypeVar("T")

REMEMBERED_SECONDS = 1.0
"""How long a revoked key may go on reading, and an unknown one is not asked about again."""

REMEMBERED_KEYS = 10_000

ADOPTED_SECONDS = 10.0
"""How long it may take until a key that was taken over from another system is known."""

ADMIN_TOKENS = 2
"""The one in use and its successor."""


class Authentication:
    """Turns a bearer token into the caller it stands for, asking the database once a second at most for each."""

    def __init__(self, keys: Keys, clock: Clock, *, remembered: int = REMEMBERED_KEYS) -> None:
        self._keys = keys
        self._admitted = _Memory[Caller](clock, remembered)
        # Apart, so that whoever makes up keys cannot push out those that are good.
        self._refused = _Memory[bool](clock, remembered)
        self._adopted = _Adopted(keys, clock)
        self._clock = clock
        self._forgotten = 0

    async def account(self, token: str | None) -> Caller:
        """The caller whose key `token` is.

        Raises Unauthenticated in one text for every cause, and DatabaseUnavailable, which is not remembered.
        """
        if token is None:
            raise Unauthenticated("No API key was sent. It goes into the header Authorization, as Bearer and the key.")
        if len(token) <= LONGEST_TOKEN and token.isascii():
            # Before its shape is looked at: what is remembered has that of a key.
            caller = self._admitted.get(self._keys.digest(token))
            if caller is not None:
                return caller
        public_id, digest = self._keys.identify(token)
        if self._refused.get(digest):
            raise Unauthenticated
        if not is_ours(token) and not await self._adopted.has(public_id):
            raise Unauthenticated
        return await self._ask(public_id, digest)

    async def recognises(self, token: str | None) -> bool:
        """Whether `token` is the key of some account."""
        try:
            await self.account(token)
        except Unauthenticated:
            return False
        return True

    def forget(self) -> None:
        """Ask the database about every key anew: one was taken away or changed a moment ago."""
        self._forgotten += 1
        self._admitted.clear()
        self._adopted.clear()
        self._keys.forget()

    async def _ask(self, public_id: str, digest: bytes) -> Caller:
        asked, forgotten = self._clock.monotonic(), self._forgotten
        try:
            caller = await self._keys.authenticate(public_id, digest)
        except Unauthenticated:
            self._refused.put(digest, True, asked)
            raise
        # What was read before something was to be forgotten may be just that.
        if forgotten == self._forgotten:
            self._admitted.put(digest, caller, asked)
        return caller


class OpenDoor:
    """Every caller is one account, key or no key."""

    def __init__(self, account: Account) -> None:
        """The account's limits are those that it has now."""
        self._caller = keyless(account)

    async def account(self, token: str | None) -> Caller:  # noqa: ARG002 (any token will do; UIs insist on sending one)
        return self._caller

    async def recognises(self, token: str | None) -> bool:  # noqa: ARG002 (where any token will do, none is a key)
        return False

    def forget(self) -> None:
        """Nothing is remembered."""


class AdminToken:
    """The administrator's tokens, of which only digests are kept: two at a time, to change them without a gap."""

    def __init__(self, tokens: list[str], clock: Clock) -> None:
        given = [token for token in tokens if token]
        if len(given) > ADMIN_TOKENS:
            raise ValueError(f"At most {ADMIN_TOKENS} admin tokens may be valid at a time.")
        self._digests = [sha256(token.encode()).digest() for token in given]
        self.guesses = Lockout(clock)
        """Of wrong tokens where the administrator's is asked for."""
        self.confusions = Lockout(clock)
        """Of wrong tokens where an account's key is asked for, and the administrator's is told as such."""

    def check(self, token: str | None) -> None:
        """Raises Unauthenticated where `token` is not the administrator's, always where none is configured."""
        if token is None:
            raise Unauthenticated(
                "No token was sent. The administrator's goes into the header Authorization, behind Bearer."
            )
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        # Every one is compared, so that the time tells nothing.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Unauthenticated(
                "Incorrect token provided. This takes the administrator's, not the key of an account."
            )


class _Adopted:
    """The public ids of the keys of another system, of which any text could be one.

    Whoever makes up such texts costs a look at this set: it is read anew once in a while, however many come.
    """

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._good_until = float("-inf")
        self._reading = asyncio.Lock()

    async def has(self, public_id: str) -> bool:
        """Raises DatabaseUnavailable where that cannot be told."""
        if self._is_old:
            async with self._reading:
                if self._is_old:
                    self._known = await self._keys.adopted()
                    self._good_until = self._clock.monotonic() + ADOPTED_SECONDS
        return public_id in self._known

    @property
    def _is_old(self) -> bool:
        return self._good_until <= self._clock.monotonic()

    def clear(self) -> None:
        self._good_until = float("-inf")


class _Memory(Generic[T]):
    """What was found a moment ago, by digest; when it is full, what was not asked for longest goes."""

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._found: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, digest: bytes) -> T | None:
        until, value = self._found.get(digest, (0.0, None))
        if value is None:
            return None
        if until <= self._clock.monotonic():
            del self._found[digest]
            return None
        self._found.move_to_end(digest)
        return value

    def put(self, digest: bytes, value: T, asked: float) -> None:
        """Remember what was asked for at `asked`: the answer may be as old as the question."""
        self._found[digest] = (asked + REMEMBERED_SECONDS, value)
        self._found.move_to_end(digest)
        if len(self._found) > self._size:
            self._found.popitem(last=False)

    def clear(self) -> None:
        self._found.clear()
