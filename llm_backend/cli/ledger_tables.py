"""What was used, as tables for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llm_backend.domain.explanations import Explanation
from llm_backend.domain.reports import NAMES, Grouping
from llm_backend.domain.usage import UNITS
from llm_backend.errors import Json

SUMS = ("requests", "prompt_tokens", "completion_tokens", "total_tokens", *UNITS, "cost_microusd")

TITLES = {"account_id": "id", "account_name": "account", "key_id": "key", "cost_microusd": "cost"}
"""Short ones: by account, it all fits into the 80 columns of a terminal."""

WIDE = 160
"""Columns, where nobody looks."""


def usage_table(groups: Sequence[Grouping], rows: Sequence[dict[str, Json]]) -> None:
    """Print the rows of a report, with their sum."""
    named = [name for group in groups for name in NAMES[group]]
    table = Table(title="tokens, and what they cost", show_footer=True)
    for name in named:
        table.add_column(_title(name), overflow="fold", footer="all" if name == named[0] else "")
    # Most use tokens alone.
    sums = [name for name in SUMS if name not in UNITS or any(row[name] for row in rows)]
    for name in sums:
        total = sum(row[name] for row in rows)
        table.add_column(_title(name), justify="right", no_wrap=True, footer=_amount(name, total))
    for row in rows:
        table.add_row(*(_text(row[name]) for name in named), *(_amount(name, row[name]) for name in sums))
    _console().print(table)


def explanation_tables(found: Sequence[Explanation]) -> None:
    """Print each budget with its lines, and whether the sums agree."""
    console = _console()
    for each in found:
        console.print(f"{each.budget.subject or 'all of the account'}: {_limits(each)}", markup=False, highlight=False)
        console.print(_lines(each))
        for name, derived in each.derived.items():
            stored = each.stored[name]
            word = "as stored" if stored == derived else f"but {stored} is stored"
            console.print(f"  {name} {derived}, {word}", highlight=False)
        console.print("  agrees" if each.agrees else "  DOES NOT AGREE")


def dollars(microusd: int) -> str:
    """As people write it, exact."""
    whole, rest = divmod(abs(microusd), 1_000_000)
    return f"{'-' if microusd < 0 else ''}${whole}.{rest:06d}"


def _lines(found: Explanation) -> Table:
    table = Table()
    for name in ("at", "attempt", "kind", "model", "basis"):
        table.add_column(name, overflow="fold")
    for name in ("tokens", "cost", "used tokens", "used cost"):
        table.add_column(name, justify="right", overflow="fold")
    earlier = found.earlier
    if earlier.rows:
        sums = str(earlier.tokens), dollars(earlier.microusd)
        table.add_row("", f"{earlier.rows} earlier", "", "", "", *sums, *sums)
    for entry, so_far in found.lines:
        what = entry.ended_at.strftime("%Y-%m-%d %H:%M:%S"), entry.attempt_id, entry.kind, escape(entry.model)
        amounts = str(entry.total_tokens), dollars(entry.cost_microusd)
        table.add_row(*what, entry.basis, *amounts, str(so_far.tokens), dollars(so_far.microusd))
    for held in found.running:
        when = held.created_at.strftime("%Y-%m-%d %H:%M:%S")
        amounts = str(held.reserved_tokens), dollars(held.reserved_microusd)
        table.add_row(when, held.attempt_id, held.state, "", "reserved", *amounts, "", "")
    return table


def _limits(found: Explanation) -> str:
    tokens, microusd = found.limit("token_limit"), found.limit("microusd_limit")
    told = ["no limit of tokens" if tokens is None else f"{tokens} tokens"]
    if carried := found.carried_over("token_limit"):
        told.append(f"{carried} of them carried over")
    told.append("no limit of money" if microusd is None else dollars(microusd))
    if carried := found.carried_over("microusd_limit"):
        told.append(f"{dollars(carried)} of it carried over")
    return ", ".join([*told, "total" if found.budget.renewal == "never" else f"each {found.budget.renewal}"])


def _title(name: str) -> str:
    return TITLES.get(name, name.removesuffix("_tokens"))


def _amount(name: str, value: int) -> str:
    return dollars(value) if name == "cost_microusd" else f"{value:,}"


def _text(value: Json) -> str:
    return "-" if value is None else escape(str(value))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)
