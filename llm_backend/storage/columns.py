"""What the tables are made of: types that mean the same on both databases, and names for every constraint."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

_ONLY = "only"

IDENTITY = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up a column of the type INTEGER only."""


class Moment(TypeDecorator[datetime]):
    """A point in time: aware and UTC on both sides, although SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def as_text(value: datetime | None) -> str | None:
    """A moment as SQLite keeps it: what SQLAlchemy would write by way of the type."""
    # Its zone, which is not kept, is what comes last.
    return None if value is None else value.astimezone(UTC).isoformat(" ", "microseconds")[:-6]


def counted(name: str, *, signed_where: str = "", is_later: bool = False) -> tuple[Column[int], CheckConstraint]:
    """A column of whole units that are never below zero, but where `signed_where` is true.

    One that came later than the table is zero in the rows that were there.
    """
    rule = f"{signed_where} OR {name} >= 0" if signed_where else f"{name} >= 0"
    before = text("0") if is_later else None
    return Column(name, BigInteger, nullable=False, server_default=before), CheckConstraint(rule, name=name)


def limited(name: str) -> tuple[Column[int], CheckConstraint]:
    """A column of whole units that are never below zero, or null for no limit."""
    return Column(name, BigInteger), CheckConstraint(f"{name} >= 0", name=name)


def summed(name: str) -> tuple[Column[int], CheckConstraint]:
    """A column of whole units that begins at zero and never goes below: a violation is an error, not clamped."""
    return Column(name, BigInteger, nullable=False, server_default=text("0")), CheckConstraint(
        f"{name} >= 0", name=name
    )


def as_one(table: Table, name: str, rule: str, *parts: str) -> None:
    """Have PostgreSQL keep the rules `parts` of a table as one `rule`: it reads the text of each at every statement.

    SQLite, which reads them once, keeps each by itself: there a rule is added only by building the table anew.
    """
    names = {f"ck_{table.name}_{part}" for part in parts}
    for each in table.constraints:
        if isinstance(each, CheckConstraint) and each.name in names:
            _keep_only(each, "sqlite")
    table.append_constraint(_keep_only(CheckConstraint(rule, name=name), "postgresql"))


def is_kept_by(rule: CheckConstraint, dialect: str) -> bool:
    """Whether that database has the rule."""
    return rule.info.get(_ONLY) in {None, dialect}


def _keep_only(rule: CheckConstraint, dialect: str) -> CheckConstraint:
    rule.info[_ONLY] = dialect
    rule.ddl_if(dialect=dialect)
    return rule
