"""What may be said of accounts, keys and budgets on the command line."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

Limit = re.compile(r"[0-9][0-9_]{0,20}")

Course = Annotated[str | None, typer.Option(help="What it is for.")]
Budget = Annotated[str | None, typer.Option(metavar="N|none", help="Tokens that may be used.")]
BudgetMicrousd = Annotated[str | None, typer.Option(metavar="N|none", help="Millionths of a US dollar, likewise.")]
Renewal = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="When what was used counts anew: never, day, week, month or term."),
]
CarriesOver = Annotated[bool | None, typer.Option(help="Whether what is left of a period is added to the next.")]
Term = Annotated[
    list[str] | None,
    typer.Option(metavar="DAY", help="The first day of a term, as 2026-09-01; at the end, the day after the last."),
]
TimeZone = Annotated[str | None, typer.Option(help="Where budgets renew at midnight, as Europe/Berlin.")]
Fits = Annotated[bool | None, typer.Option(help="Whether a named limit of output is lowered to what is left.")]
Stores = Annotated[bool | None, typer.Option(help="Whether what models answer may be kept for it.")]
RetentionDays = Annotated[
    str | None, typer.Option(metavar="N|none", help="Days for which what is said with it is kept; none: for ever.")
]
RequestsPerMinute = Annotated[str | None, typer.Option(metavar="N|none", help="1 or more, as the next two.")]
TokensPerMinute = Annotated[str | None, typer.Option(metavar="N|none")]
ConcurrentRequests = Annotated[str | None, typer.Option(metavar="N|none", help="How many may run at once.")]
TrustedFrontend = Annotated[bool | None, typer.Option(help="Whether its headers may say for whom it asks.")]
EndUserBudget = Annotated[str | None, typer.Option(metavar="N|none", help="Tokens of each of those, as the next five.")]
EndUserBudgetMicrousd = Annotated[str | None, typer.Option(metavar="N|none")]
EndUserRenewal = Annotated[str | None, typer.Option(metavar="WHEN", help="never, day, week or month.")]
EndUserRequestsPerMinute = Annotated[str | None, typer.Option(metavar="N|none")]
EndUserTokensPerMinute = Annotated[str | None, typer.Option(metavar="N|none")]
EndUserConcurrentRequests = Annotated[str | None, typer.Option(metavar="N|none")]
Scope = Annotated[list[str] | None, typer.Option(help="What the key may do; once for each. Left out: everything.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="A model that it may name; once for each.")]
Expires = Annotated[
    str | None, typer.Option(metavar="TIME|none", help="When it ends: 2026-09-01, or with a time as 2026-09-01T12:00.")
]

NONE = "none"
RENEWALS = ("never", "day", "week", "month", "term")
LIMITS = {
    "budget": "token_limit",
    "budget_microusd": "microusd_limit",
    "retention_days": "retention_days",
    "requests_per_minute": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "concurrent_requests": "concurrent_requests",
    "end_user_budget": "end_user_token_limit",
    "end_user_budget_microusd": "end_user_microusd_limit",
    "end_user_requests_per_minute": "end_user_requests_per_minute",
    "end_user_tokens_per_minute": "end_user_tokens_per_minute",
    "end_user_concurrent_requests": "end_user_concurrent_requests",
}
"""Options that are a number or none, and what they are called within."""


def given(**options: Any) -> dict[str, Any]:
    """What was said, by the names that it has within; what was not said is not there. Raises BadParameter."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or value == []:
            continue
        if name in LIMITS:
            found[LIMITS[name]] = _limit(value, name)
        elif name == "expires":
            found["expires_at"] = _moment(value)
        elif name == "renewal" and value not in RENEWALS:
            raise typer.BadParameter(f"A budget renews {', '.join(RENEWALS)}.", param_hint="--renewal")
        else:
            found[name] = value
    return found


def _limit(text: str, name: str) -> int | None:
    if text == NONE:
        return None
    if not Limit.fullmatch(text):
        raise typer.BadParameter("A limit is a whole number, or none.", param_hint=f"--{name.replace('_', '-')}")
    return int(text)


def _moment(text: str) -> datetime | None:
    """In UTC where no zone is said."""
    if text == NONE:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("A time is written as 2026-09-01T12:00.", param_hint="--expires") from None
