"""Moving in from Parrot: its accounts, users, chats and messages, what was used, and keys that go on working.

All of it or nothing. Numbers stay where they are free, so that clients find the chats that they remember.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.clock import Clock, uuid7
from llm_backend.domain.exports import Progress, untold
from llm_backend.domain.imports import AlreadyThere, refuse_taken
from llm_backend.domain.keys import Keys
from llm_backend.domain.parrot_chats import conversation, message
from llm_backend.domain.snapshots import snapshot
from llm_backend.errors import InvalidRequest
from llm_backend.storage import accounts as stored_accounts
from llm_backend.storage import budgets as stored_budgets
from llm_backend.storage import dumps, parrot
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import BY_NAME, Row
from llm_backend.storage.parrot import ACCOUNT, CHAT, MESSAGE, USER
from llm_backend.storage.usage import UNSTORABLE, UsageRecord

OPERATION = "importParrot"
MODEL = "parrot"
"""As what all that an account used before is booked."""


class NoParrot(InvalidRequest):
    """The other database is no Parrot database."""

    code = "no_parrot"


@dataclass(slots=True)
class Moved:
    """What came of it, by kind."""

    brought: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    """What belonged to nothing that is there."""
    renumbered: Counter[str] = field(default_factory=Counter)
    """What has another number than it had."""


@dataclass(slots=True)
class _Move:
    """One move under way."""

    target: AsyncSession
    now: datetime
    by: Author
    tell: Callable[[int], None]
    result: Moved = field(init=False, default_factory=Moved)
    accounts: dict[int, int] = field(init=False, default_factory=dict)
    """Numbers here by numbers there, as in `chats`."""
    chats: dict[int, tuple[int, int]] = field(init=False, default_factory=dict)
    """Of each chat also its account."""
    sequences: Counter[int] = field(init=False, default_factory=Counter)
    """The next message's place in each chat, by its number there."""

    async def place(self, kind: str, name: str, rows: list[Row]) -> list[int]:
        """Put in rows; their numbers here."""
        changed = await dumps.place(self.target, BY_NAME[kind].table, rows)
        self.result.brought[name] += len(rows)
        self.result.renumbered[name] += len(changed)
        return [changed.get(number, number) for number in (int(row["id"]) for row in rows)]


class Parrot:
    """Brings a Parrot database, `source`, into one of ours."""

    def __init__(self, source: Database, database: Database, keys: Keys, clock: Clock) -> None:
        self._source = source
        self._database = database
        self._keys = keys
        self._clock = clock

    async def move_in(self, by: Author = SERVER, *, rehearses: bool = False, progress: Progress = untold) -> Moved:
        """Everything; with `rehearses`, everything but keeping it.

        Raises NoParrot, and AlreadyThere where it, or something in its place, is there already: then nothing was done.
        """
        try:
            async with snapshot(self._source) as source, self._database.begin() as target:
                result = await self._move(source, target, by, progress)
                if rehearses:
                    await target.rollback()
        except IntegrityError as error:
            raise AlreadyThere("It does not fit what is in the database; nothing was changed.") from error
        return result

    async def _move(self, source: AsyncSession, target: AsyncSession, by: Author, progress: Progress) -> Moved:
        if lacking := await parrot.lacking(source):
            raise NoParrot(f"The database is not Parrot's: it lacks {', '.join(lacking)}.")
        total = sum([await parrot.count(source, table) for table in parrot.EVERY])
        done = 0

        def tell(rows: int) -> None:
            nonlocal done
            done += rows
            progress(done, total)

        await self._refuse_again(source, target, by)
        move = _Move(target, self._clock.now(), by, tell)
        for table, bring in ((ACCOUNT, self._accounts), (USER, _users), (CHAT, _chats), (MESSAGE, _messages)):
            await _make_room(source, move, table.name)
            async with aclosing(parrot.pages(source, table)) as pages:
                async for rows in pages:
                    await bring(move, rows)
                    move.tell(len(rows))
        await _note_sequences(move)
        return move.result

    async def _refuse_again(self, source: AsyncSession, target: AsyncSession, by: Author) -> None:
        digest = hashlib.sha256()
        async with aclosing(parrot.pages(source, ACCOUNT)) as pages:
            async for rows in pages:
                for row in rows:
                    digest.update(f"{row['id']} {row['api_key']}\n".encode())
        if await dumps.was_brought(target, digest.hexdigest()):
            raise AlreadyThere("These accounts were imported already; nothing was changed.")
        await by.note(
            target, self._clock.now(), "import", ("import", digest.hexdigest()), [t.name for t in parrot.EVERY]
        )

    async def _accounts(self, move: _Move, rows: list[Row]) -> None:
        wanted = [_account(row, move.now) for row in rows]
        await refuse_taken(move.target, BY_NAME["account"], wanted)
        numbers = await move.place("account", "accounts", wanted)
        for row, number in zip(rows, numbers, strict=True):
            move.accounts[row["id"]] = number
            await _enter_usage(move, row, number)
            move.result.brought["closed accounts"] += not row["active"]
            # The key of a closed account opens nothing, here as there.
            if row["active"] and row["api_key"]:
                await self._keys.adopt(move.target, number, row["api_key"], move.by)
                move.result.brought["keys"] += 1


async def _make_room(source: AsyncSession, move: _Move, name: str) -> None:
    """Let nobody else get a number that is to stay."""
    table = {"account": "account", "user": "user", "chat": "conversation", "message": "item"}[name]
    highest = await parrot.highest(source, name)
    await dumps.count_on_from(move.target, BY_NAME[table].table, highest)


async def _enter_usage(move: _Move, row: Row, number: int) -> None:
    """The account's budget, and all that it used as one charge."""
    account = await stored_accounts.find(move.target, number)
    if account is None:
        raise AssertionError("It was put in a moment ago.")
    limit = None if row["budget"] is None else max(0, row["budget"])
    whole = await budgets.begin(move.target, account, {"token_limit": limit}, move.now)
    used, period = row["usage"] or 0, await stored_budgets.period_at(move.target, whole.id, move.now)
    if used > 0 and period is not None:
        # The last answer of an account may pass its limit, here as there.
        charge = _charge(row, number, period.id, move.now)._replace(overrun=limit is not None and used > limit)
        await parrot.enter(move.target, charge, move.now)
        await stored_budgets.charge(move.target, period.id, used, 0)
        move.result.brought["tokens used"] += used


async def _users(move: _Move, rows: list[Row]) -> None:
    wanted = [
        {
            "id": row["id"],
            "code": _text(row["code"]),
            "name": None if row["name"] is None else _text(row["name"]),
            "account_id": move.accounts.get(row["account_id"]),
            "created_at": row["created_at"] or move.now,
            "updated_at": row["updated_at"],
        }
        for row in rows
    ]
    await refuse_taken(move.target, BY_NAME["user"], wanted)
    await move.place("user", "users", wanted)


async def _chats(move: _Move, rows: list[Row]) -> None:
    known = [row for row in rows if row["account_id"] in move.accounts]
    move.result.left_out["chats"] += len(rows) - len(known)
    wanted = [conversation(row, move.accounts[row["account_id"]], move.now) for row in known]
    numbers = await move.place("conversation", "chats", wanted)
    for row, number in zip(known, numbers, strict=True):
        move.chats[row["id"]] = number, move.accounts[row["account_id"]]


async def _messages(move: _Move, rows: list[Row]) -> None:
    known = [row for row in rows if row["chat_id"] in move.chats]
    move.result.left_out["messages"] += len(rows) - len(known)
    wanted = []
    for row in known:
        number, account_id = move.chats[row["chat_id"]]
        sequence = move.sequences[row["chat_id"]]
        move.sequences[row["chat_id"]] += 1
        wanted.append(message(row, (number, account_id), sequence, move.now))
    await move.place("item", "messages", wanted)


async def _note_sequences(move: _Move) -> None:
    following = {move.chats[chat][0]: sequence for chat, sequence in move.sequences.items()}
    await parrot.note_sequences(move.target, following)


def _account(row: Row, now: datetime) -> Row:
    return {
        "id": row["id"],
        "name": _text(row["name"]),
        "active": bool(row["active"]),
        "course": None if row["course"] is None else _text(row["course"]),
        "created_at": row["created_at"] or now,
        "updated_at": row["updated_at"],
    }


def _charge(row: Row, account_id: int, period_id: int, now: datetime) -> UsageRecord:
    """What an account used before, as one charge on the day of its last change."""
    then = row["updated_at"] or row["created_at"] or now
    told = orjson.dumps({"total_tokens": row["usage"]})
    parts: dict[str, Any] = {"cached_tokens": 0, "reasoning_tokens": 0, "cost_microusd": 0, "raw_usage": told}
    return UsageRecord(
        attempt_id=uuid7(then),
        kind="charge",
        request_id=f"import-{row['id']}",
        account_id=account_id,
        key_id=None,
        operation=OPERATION,
        model=MODEL,
        upstream=MODEL,
        upstream_model=MODEL,
        stream=False,
        status="completed",
        basis="reported",
        # Parrot counts no kinds apart.
        prompt_tokens=row["usage"],
        completion_tokens=0,
        usage_missing=False,
        usage_implausible=False,
        error_code=None,
        upstream_status=None,
        started_at=then,
        ended_at=then,
        account_period_id=period_id,
        **parts,
    )


def _text(text: str) -> str:
    """Without what PostgreSQL keeps in no text."""
    return UNSTORABLE.sub("\ufffd", text)
