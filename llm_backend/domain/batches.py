"""Many accounts at once: all of them, or none."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.account_terms import NameTaken, Terms, check, checked_name, rules
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.budgets import checked as checked_rules
from llm_backend.domain.clock import Clock
from llm_backend.domain.keys import Keys, NewKey
from llm_backend.domain.names import checked
from llm_backend.errors import InvalidRequest
from llm_backend.storage import accounts, users
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database

SHOWN = 5
"""Rows told of in one error."""


@dataclass(frozen=True, slots=True)
class Row:
    """One account to be."""

    name: str
    terms: Terms = field(default_factory=Terms)
    """Without `users`: those are told by their codes."""
    codes: tuple[str, ...] = ()
    """Of its users; who does not exist yet is made."""


class BatchRefused(InvalidRequest):
    """Some of the rows cannot be accounts, so none was made; `rows` says of each what is wrong."""

    code = "batch_refused"

    def __init__(self, rows: list[tuple[int, str, str]]) -> None:
        """`rows`: number, field and what is wrong, of each that is."""
        self.rows = rows
        told = [f"accounts[{number}].{name}: {what}" for number, name, what in rows[:SHOWN]]
        more = [f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
        super().__init__("; ".join([*told, *more]), param=f"accounts[{rows[0][0]}].{rows[0][1]}")


class Batches:
    """Makes accounts of rows."""

    def __init__(self, database: Database, accounts_: Accounts, keys: Keys, clock: Clock) -> None:
        self._database = database
        self._accounts = accounts_
        self._keys = keys
        self._clock = clock

    async def check(self, rows: list[Row]) -> None:
        """Raises BatchRefused where the rows could not become accounts as things stand."""
        await self._database.detached(self._check(rows))

    async def create(self, rows: list[Row], by: Author = SERVER) -> list[tuple[Account, NewKey]]:
        """An account with its first key and its users of each row, in their order. Raises BatchRefused."""
        try:
            return await self._database.detached(self._create(rows, by))
        except IntegrityError:
            # Somebody took a name or a code a moment ago: now it is seen before it is tried.
            return await self._database.detached(self._create(rows, by))

    async def _check(self, rows: list[Row]) -> None:
        async with self._database.reading() as session:
            await _refuse(session, rows)

    async def _create(self, rows: list[Row], by: Author) -> list[tuple[Account, NewKey]]:
        async with self._database.begin() as session:
            await _refuse(session, rows)
            ids = await self._people(session, rows, by)
            made = []
            for row in rows:
                terms: Terms = {**row.terms, "users": [ids[code] for code in row.codes]} if row.codes else row.terms
                made.append(await self._accounts.open(session, row.name, self._keys, by, terms))
            return made

    async def _people(self, session: AsyncSession, rows: list[Row], by: Author) -> dict[str, int]:
        """The numbers of all users by their codes, those made that did not exist."""
        wanted = [code for row in rows for code in row.codes]
        known = await users.by_code(session, wanted)
        for code in wanted:
            if code not in known:
                now = self._clock.now()
                known[code] = (await users.add(session, code, None, None, now)).id
                await by.note(session, now, "create", ("user", known[code]), ["code"])
        return known


async def _refuse(session: AsyncSession, rows: list[Row]) -> None:
    wrong = [(number, *fault) for number, row in enumerate(rows) for fault in _faults(row)]
    wrong += _doubles(rows)
    taken = await accounts.active_names(session, {row.name for row in rows} if not wrong else set())
    wrong += [(number, "name", str(NameTaken(row.name))) for number, row in enumerate(rows) if row.name in taken]
    if wrong:
        raise BatchRefused(sorted(wrong))


def _faults(row: Row) -> Iterator[tuple[str, str]]:
    """What is wrong with a row by itself."""
    try:
        checked_name(row.name)
        check(row.terms)
        checked_rules(rules(row.terms))
        for code in row.codes:
            checked(code, "A user's code", "users")
    except InvalidRequest as error:
        yield error.param or "name", str(error)


def _doubles(rows: list[Row]) -> list[tuple[int, str, str]]:
    """What two rows cannot both have."""
    names = Counter(row.name for row in rows)
    codes = Counter(code for row in rows for code in set(row.codes))
    same_name = [(number, "name", "Two rows have this name") for number, row in enumerate(rows) if names[row.name] > 1]
    return same_name + [
        (number, "users", f"Two rows have the user {code}")
        for number, row in enumerate(rows)
        for code in sorted(set(row.codes))
        if codes[code] > 1
    ]
