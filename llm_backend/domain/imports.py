"""An export, read in: all of it or nothing, into a database that has none of it yet.

Ids stay where they are free, so that whoever kept one finds the same thing; the others change, and with them whatever
refers to them.
"""

import hashlib
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import JSON, Column, Date, LargeBinary
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.clock import Clock
from llm_backend.domain.exports import FORMAT, VERSION, Progress, fingerprint, untold
from llm_backend.domain.responses.summaries import COMPACTION, Summaries, is_ours
from llm_backend.errors import Conflict, InvalidRequest, Json
from llm_backend.storage import dumps, installation, schema
from llm_backend.storage.columns import Moment
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import BY_NAME, PAGE, Kind, Row

NAMED_AT_MOST = 5
"""Of what stands in the way, so many are told by name."""

NUMBERED_TARGETS = {"account": "account", "budget": "account", "user": "user"}
"""What an audit record names by a number, and of which kind that is."""

Moved = defaultdict[str, dict[int, int]]
"""The ids that changed, old to new, by kind."""


class NotAnExport(InvalidRequest):
    """The file is none, is not whole, or is not for this version."""

    code = "not_an_export"


class AlreadyThere(Conflict):
    """What is to be brought is there already, or something else in its place."""

    code = "already_there"


@dataclass(slots=True)
class Manifest:
    """What a whole file holds."""

    header: Json
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    highest: Counter[str] = field(default_factory=Counter)
    """The highest id of each kind."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of an import."""

    counts: dict[str, int]
    renumbered: dict[str, int]
    """How many of each kind got another id."""
    knows_its_keys: bool
    """Whether the keys were made under the secret of this database: else none of them is recognised."""
    lost_summaries: int
    """How many summaries of what was said were not sealed under it: what goes on from them cannot be gone on with."""


class Imports:
    """Writes into one database."""

    def __init__(self, database: Database, summaries: Summaries, clock: Clock) -> None:
        self._database = database
        self._summaries = summaries
        self._clock = clock

    async def bring(self, file: Path, by: Author = SERVER, progress: Progress = untold) -> Brought:
        """Everything in `file`. Raises NotAnExport before anything is done, and AlreadyThere: then nothing was."""
        manifest = examined(file)
        try:
            async with self._database.begin() as session:
                return await self._bring(session, file, manifest, by, progress)
        except IntegrityError as error:
            raise AlreadyThere("The file does not fit what is in the database; nothing was changed.") from error

    async def _bring(
        self, session: AsyncSession, file: Path, manifest: Manifest, by: Author, progress: Progress
    ) -> Brought:
        if await dumps.was_brought(session, manifest.digest):
            raise AlreadyThere("This file was imported already; nothing was changed.")
        for name, highest in manifest.highest.items():
            await dumps.count_on_from(session, BY_NAME[name].table, highest)
        moved: Moved = defaultdict(dict)
        done = lost = 0
        for kind, lines in _batches(file):
            rows = [_row(kind, line, moved) for line in lines]
            lost += self._seal_anew(rows, lines) if kind.name == "item" else 0
            await refuse_taken(session, kind, rows)
            if kind.is_numbered:
                moved[kind.name] |= await dumps.place(session, kind.table, rows)
            else:
                await dumps.put(session, kind.table, rows)
            done += len(rows)
            progress(done, manifest.counts.total())
        await by.note(session, self._clock.now(), "import", ("import", manifest.digest), manifest.counts)
        own = fingerprint(await installation.secret_digest(session))
        renumbered = {name: len(ids) for name, ids in moved.items() if ids}
        return Brought(dict(manifest.counts), renumbered, manifest.header["secret"] == own, lost)

    def _seal_anew(self, rows: list[Row], lines: list[Json]) -> int:
        """Seal the summaries among these items for the accounts as they are numbered here; how many do not open."""
        lost = 0
        for row, line in zip(rows, lines, strict=True):
            item = orjson.loads(row["content"]) if row["kind"] == COMPACTION else {}
            if is_ours(item):
                content = self._summaries.moved(item["encrypted_content"], line["account_id"], row["account_id"])
                lost += content is None
                row["content"] = orjson.dumps(item | {"encrypted_content": content or item["encrypted_content"]})
        return lost


async def refuse_taken(session: AsyncSession, kind: Kind, rows: list[Row]) -> None:
    """Raises AlreadyThere where a name, code or public id of `rows` is somebody's."""
    if kind.name == "account":
        taken = await dumps.open_names(session, [row["name"] for row in rows if row["active"]])
        _refuse("accounts of these names are open here: {}; close or rename them first", taken)
    elif kind.unique is not None:
        taken = await dumps.taken(session, kind.table.c[kind.unique], [row[kind.unique] for row in rows])
        _refuse(f"{kind.name}s of these are here: {{}}", taken)


def _refuse(text: str, taken: list[Any]) -> None:
    if taken:
        others = f" and {len(taken) - NAMED_AT_MOST} more" if len(taken) > NAMED_AT_MOST else ""
        told = ", ".join(str(each) for each in taken[:NAMED_AT_MOST]) + others
        raise AlreadyThere(f"Nothing was changed: {text.format(told)}.")


def examined(file: Path) -> Manifest:
    """What `file` holds, read to its end. Raises NotAnExport."""
    digest, manifest, end = hashlib.sha256(), None, None
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            value = _parsed(line, number)
            if end is not None:
                raise NotAnExport(f"Line {number}: the file goes on after its end.")
            if manifest is None:
                manifest = Manifest(_checked(value))
            elif value["kind"] == "end":
                end = value
                continue
            else:
                _note(manifest, value, number)
            digest.update(line)
    if manifest is None or end is None:
        raise NotAnExport("The file is not whole: its last line is missing.")
    manifest.digest = digest.hexdigest()
    if end.get("sha256") != manifest.digest:
        raise NotAnExport("The file is not as it was written: its SHA-256 is another.")
    return manifest


def _parsed(line: bytes, number: int) -> Json:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise NotAnExport(f"Line {number}: this is no line of an export.")
    return value


def _checked(header: Json) -> Json:
    if header.get("format") != FORMAT:
        raise NotAnExport("The file is no export: its first line does not say so.")
    if header.get("version") != VERSION or str(header.get("schema")) > schema.head():
        raise NotAnExport("The file was made by a newer version.")
    if header.get("user_code") is not None:
        raise NotAnExport("The file holds what is known of one user, whose account is not in it: it is for reading.")
    return {"secret": None, **header}


def _note(manifest: Manifest, value: Json, number: int) -> None:
    kind = BY_NAME.get(value["kind"])
    row = value.get("row")
    if kind is None or not isinstance(row, dict) or not row.keys() <= set(kind.table.c.keys()):
        raise NotAnExport(f"Line {number}: this version knows no such {value['kind']}.")
    manifest.counts[kind.name] += 1
    if kind.is_numbered:
        manifest.highest[kind.name] = max(manifest.highest[kind.name], row["id"])


def _batches(file: Path) -> Iterator[tuple[Kind, list[Json]]]:
    """The rows between the first line and the last, some of one kind at a time."""
    with file.open("rb") as lines:
        values = (value for value in map(orjson.loads, lines) if "row" in value)
        # Nulls of JSON columns are left out, and rows that are put in together have the same columns.
        rows = ((BY_NAME[value["kind"]], _without_nulls(BY_NAME[value["kind"]], value["row"])) for value in values)
        for (name, _), alike in groupby(rows, lambda pair: (pair[0].name, tuple(pair[1]))):
            while some := [row for _, row in islice(alike, PAGE)]:
                yield BY_NAME[name], some


def _without_nulls(kind: Kind, row: Json) -> Json:
    # SQLAlchemy writes None into a JSON column as JSON's null, which is not SQL's.
    columns = kind.table.c
    return {name: each for name, each in row.items() if each is not None or not isinstance(columns[name].type, JSON)}


def _row(kind: Kind, line: Json, moved: Moved) -> Row:
    """A line's values as the table takes them, with the ids that others have now."""
    try:
        row = {name: _value(kind.table.c[name], value) for name, value in line.items()}
    except (ValueError, TypeError) as error:
        raise NotAnExport(f"A {kind.name} of the file has a value that is none of its kind.") from error
    for name, of in kind.references.items():
        row[name] = moved[of].get(row[name], row[name])
    if kind.name == "audit_record" and row["target_kind"] in NUMBERED_TARGETS:
        # The number may have a subject behind it.
        number, slash, rest = row["target_id"].partition("/")
        now = moved[NUMBERED_TARGETS[row["target_kind"]]].get(int(number), number)
        row["target_id"] = f"{now}{slash}{rest}"
    if kind.name == "response":
        # Who made it does so elsewhere: the next sweep ends it here, and it is not begun a second time.
        row["request"] = None
        # They are not brought: nobody is to look for them.
        row["events_until"] = None
    if kind.name == "reservation" and moved["account"]:
        row["details"] = _of_account(row["details"], row["account_id"])
    return row


def _value(column: Column[Any], value: Json) -> Any:
    if value is None:
        return None
    if isinstance(column.type, Moment):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    return b64decode(value, validate=True) if isinstance(column.type, LargeBinary) else value


def _of_account(details: bytes, account_id: int) -> bytes:
    """The usage record to be, of the account as it is numbered here."""
    known = orjson.loads(details)
    return orjson.dumps(known | {"account_id": account_id}) if "account_id" in known else details
