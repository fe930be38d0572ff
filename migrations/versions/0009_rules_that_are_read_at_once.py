"""On PostgreSQL the amounts of a row have one rule: with each statement it reads the text of every rule anew."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

IS_ADJUSTMENT = "kind = 'adjustment'"
NEVER_BELOW_ZERO = {
    "budget_period": (
        "token_limit",
        "microusd_limit",
        "used_tokens",
        "reserved_tokens",
        "used_microusd",
        "reserved_microusd",
    ),
    "reservation": ("reserved_tokens", "reserved_microusd", "observed_prompt_tokens", "observed_completion_tokens"),
    "usage_record": (
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "cost_microusd",
        "audio_prompt_tokens",
        "audio_completion_tokens",
        "image_prompt_tokens",
        "images",
        "seconds",
        "characters",
    ),
}
KINDS = {
    "prompt_kinds": ("prompt_tokens", ("cached_tokens", "audio_prompt_tokens", "image_prompt_tokens")),
    "completion_kinds": ("completion_tokens", ("reasoning_tokens", "audio_completion_tokens")),
}


def upgrade() -> None:
    if not _is_postgresql():
        return
    for table, amounts in NEVER_BELOW_ZERO.items():
        for name in _names(table):
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        terms, unless = list(amounts), ""
        if table == "usage_record":
            unless = f"{IS_ADJUSTMENT} OR "
            terms = [" - ".join((whole, *kinds)) for whole, kinds in KINDS.values()] + terms[2:]
        rule = f"{unless}LEAST({', '.join(terms)}) >= 0"
        op.create_check_constraint(op.f(f"ck_{table}_amounts"), table, sa.text(rule))


def downgrade() -> None:
    if not _is_postgresql():
        return
    for table, amounts in NEVER_BELOW_ZERO.items():
        op.drop_constraint(op.f(f"ck_{table}_amounts"), table)
        unless = f"{IS_ADJUSTMENT} OR " if table == "usage_record" else ""
        for name in amounts:
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, sa.text(f"{unless}{name} >= 0"))
    for name, (whole, kinds) in KINDS.items():
        rule = f"{IS_ADJUSTMENT} OR {' + '.join(kinds)} <= {whole}"
        op.create_check_constraint(op.f(f"ck_usage_record_{name}"), "usage_record", sa.text(rule))


def _is_postgresql() -> bool:
    # SQLite reads them once, and adds a rule only by building the table anew.
    return op.get_bind().dialect.name == "postgresql"


def _names(table: str) -> tuple[str, ...]:
    return (*NEVER_BELOW_ZERO[table], *(KINDS if table == "usage_record" else ()))
