"""Statements that move data: rows of all kinds read in one order from one state, and put in under ids that are free."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    cast,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import END_USER
from llm_backend.storage.tables import (
    account,
    account_user,
    api_key,
    audit_record,
    budget,
    budget_period,
    conversation,
    item,
    reservation,
    response,
    upstream_object,
    usage_day,
    usage_record,
)

Row = dict[str, Any]

PAGE = 200
"""Rows read at once."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One table's rows, as they are moved."""

    name: str
    table: Table
    references: Mapping[str, str] = field(default_factory=dict)
    """Its columns that hold ids of another kind."""
    unique: str | None = None
    """A column besides the id whose values are nobody else's."""
    only: ColumnElement[bool] = field(default_factory=true)
    """Which of its rows are moved."""

    @property
    def is_numbered(self) -> bool:
        return "id" in self.table.c


OF_ACCOUNT = {"account_id": "account"}
OF_PERIODS = dict.fromkeys(("account_period_id", "key_period_id", "model_period_id", "user_period_id"), "budget_period")

KINDS = (
    Kind("account", account),
    Kind("user", account_user, OF_ACCOUNT, "code"),
    Kind("key", api_key, OF_ACCOUNT, "public_id"),
    Kind("budget", budget, OF_ACCOUNT),
    Kind("budget_period", budget_period, OF_ACCOUNT | {"budget_id": "budget"}),
    Kind("reservation", reservation, OF_ACCOUNT | OF_PERIODS, "attempt_id"),
    Kind("usage_record", usage_record, OF_ACCOUNT | OF_PERIODS),
    Kind("usage_day", usage_day, OF_ACCOUNT),
    Kind("conversation", conversation, OF_ACCOUNT, "public_id"),
    Kind("item", item, OF_ACCOUNT | {"conversation_id": "conversation"}, "public_id"),
    # One that is not stored is there for its events only, and these stay.
    Kind("response", response, OF_ACCOUNT | {"conversation_id": "conversation"}, "public_id", response.c.is_stored),
    Kind("upstream_object", upstream_object, OF_ACCOUNT),
    Kind("audit_record", audit_record),
)
"""Each after those that it refers to."""

BY_NAME = {kind.name: kind for kind in KINDS}

LEFT_OUT = frozenset({"installation", "idempotency_key", "response_event", "webhook_event"})
"""Tables that stay: what is another database's own, what is forgotten in a day or earlier, what would be told twice."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data: one account's, one user's, or everything."""

    account_id: int | None = None
    user_code: str | None = None

    @property
    def is_everything(self) -> bool:
        return self.account_id is None and self.user_code is None


async def count(session: AsyncSession, kind: Kind, scope: Scope) -> int:
    counted = select(func.count()).select_from(kind.table).where(kind.only, _within(kind, scope))
    return int((await session.execute(counted)).scalar_one())


async def pages(session: AsyncSession, kind: Kind, scope: Scope) -> AsyncGenerator[list[Row], None]:
    """The rows of a kind, in the order of its primary key."""
    query = select(*kind.table.c).where(kind.only, _within(kind, scope)).order_by(*kind.table.primary_key.columns)
    # Texts and no more: SQLAlchemy's own kind of text is no name of a JSON object.
    names = ["".join(column.name) for column in kind.table.c]
    result = await session.stream(query.execution_options(yield_per=PAGE))
    async for page in result.partitions():
        yield [dict(zip(names, row, strict=True)) for row in page]


async def place(session: AsyncSession, table: Table, rows: Sequence[Row]) -> dict[int, int]:
    """Put in rows under their own ids where those are free, else under new ones; the ids that changed, old to new."""
    own = [row["id"] for row in rows]
    taken = set((await session.execute(select(table.c.id).where(table.c.id.in_(own)))).scalars())
    await put(session, table, [row for row in rows if row["id"] not in taken])
    moved = {}
    for row in rows:
        if row["id"] in taken:
            values = {name: value for name, value in row.items() if name != "id"}
            made = insert(table).values(values).returning(table.c.id)
            moved[row["id"]] = int((await session.execute(made)).scalar_one())
    return moved


async def put(session: AsyncSession, table: Table, rows: Sequence[Row]) -> None:
    """Put in rows as they are."""
    if rows:
        await session.execute(insert(table), rows)


async def count_on_from(session: AsyncSession, table: Table, highest: int) -> None:
    """Let no id up to `highest` be given to a row that comes without one."""
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        # Its next number is asked for and put back: it may be past all that is there.
        following = func.greatest(func.nextval(sequence), highest + 1)
        await session.execute(select(func.setval(sequence, following, false())))
        return
    # The row is there from the first insert on.
    named = {"name": table.name, "highest": highest}
    await session.execute(
        text(
            "INSERT INTO sqlite_sequence (name, seq) SELECT :name, 0 "
            "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
        ),
        named,
    )
    await session.execute(text("UPDATE sqlite_sequence SET seq = max(seq, :highest) WHERE name = :name"), named)


async def taken(session: AsyncSession, column: ColumnElement[Any], wanted: Iterable[Any]) -> list[Any]:
    """Which of `wanted` are there already."""
    found = await session.execute(select(column).where(column.in_(list(wanted))).order_by(column))
    return list(found.scalars())


async def open_names(session: AsyncSession, wanted: Iterable[str]) -> list[str]:
    """Which of `wanted` are names of open accounts."""
    own = select(account.c.name).where(account.c.active, account.c.name.in_(list(wanted)))
    return list((await session.execute(own.order_by(account.c.name))).scalars())


async def was_brought(session: AsyncSession, digest: str) -> bool:
    """Whether the audit tells of an import of this."""
    noted = select(audit_record.c.id).where(audit_record.c.target_kind == "import", audit_record.c.target_id == digest)
    return (await session.execute(noted)).first() is not None


def _within(kind: Kind, scope: Scope) -> ColumnElement[bool]:
    if scope.is_everything:
        return literal(value=True)
    if scope.user_code is not None:
        return _of_user(kind, scope.user_code)
    if kind.table is account:
        return account.c.id == scope.account_id
    if kind.table is audit_record:
        keys = select(api_key.c.public_id).where(api_key.c.account_id == scope.account_id)
        users = select(cast(account_user.c.id, Text)).where(account_user.c.account_id == scope.account_id)
        return or_(
            and_(audit_record.c.target_kind == "account", audit_record.c.target_id == str(scope.account_id)),
            and_(audit_record.c.target_kind == "budget", audit_record.c.target_id.startswith(f"{scope.account_id}/")),
            and_(audit_record.c.target_kind == "key", audit_record.c.target_id.in_(keys)),
            and_(audit_record.c.target_kind == "user", audit_record.c.target_id.in_(users)),
        )
    own: ColumnElement[bool] = kind.table.c.account_id == scope.account_id
    return own


def _of_user(kind: Kind, code: str) -> ColumnElement[bool]:
    """A user's own row and what tells of the user; the chats and keys are the account's."""
    if kind.table is account_user:
        return account_user.c.code == code
    if kind.table is budget:
        return budget.c.subject == f"{END_USER}{code}"
    if kind.table is budget_period:
        return budget_period.c.budget_id.in_(select(budget.c.id).where(budget.c.subject == f"{END_USER}{code}"))
    if kind.table in {usage_record, usage_day}:
        named: ColumnElement[bool] = kind.table.c.end_user == code
        return named
    if kind.table is audit_record:
        own: Select[Any] = select(cast(account_user.c.id, Text)).where(account_user.c.code == code)
        return and_(audit_record.c.target_kind == "user", audit_record.c.target_id.in_(own))
    return false()
