"""`llm-backend accounts`: who may use this server."""

import asyncio
from typing import Annotated, Any, cast

import typer

from llm_backend.cli import terms
from llm_backend.cli.importing import import_accounts
from llm_backend.cli.opening import OPERATOR, Opened, opened
from llm_backend.cli.printing import limit, print_json, seconds, show, show_one
from llm_backend.domain.account_budgets import Standing
from llm_backend.domain.account_terms import Changes, Terms
from llm_backend.domain.budgets import Rules
from llm_backend.domain.directory import Profile
from llm_backend.domain.keys import NewKey
from llm_backend.errors import InvalidRequest
from llm_backend.storage.accounts import Account

accounts = typer.Typer(name="accounts", help="Accounts, each with keys of its own.", no_args_is_help=True)
accounts.command(name="import")(import_accounts)

PAGE = 1_000
"""Budgets of end users read at once."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Reference = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name, or its id.")]
Users = Annotated[
    list[str] | None, typer.Option("--user", metavar="CODE", help="The code of a user of it; once for each.")
]
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="account, key:ID, model:ID or user:ID.")]


@accounts.command()
def create(  # noqa: PLR0913 (what an account is)
    name: str,
    *,
    course: terms.Course = None,
    budget: terms.Budget = None,
    budget_microusd: terms.BudgetMicrousd = None,
    renewal: terms.Renewal = None,
    carries_over: terms.CarriesOver = None,
    term: terms.Term = None,
    time_zone: terms.TimeZone = None,
    fits: terms.Fits = None,
    stores: terms.Stores = None,
    retention_days: terms.RetentionDays = None,
    requests_per_minute: terms.RequestsPerMinute = None,
    tokens_per_minute: terms.TokensPerMinute = None,
    concurrent_requests: terms.ConcurrentRequests = None,
    user: Users = None,
    as_json: AsJson = False,
) -> None:
    """Make an account with its first key, which is shown this once."""
    said = terms.given(
        course=course, budget=budget, budget_microusd=budget_microusd, renewal=renewal, carries_over=carries_over,
        terms=term, time_zone=time_zone, fits=fits, stores=stores, retention_days=retention_days,
        requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute,
        concurrent_requests=concurrent_requests,
    )  # fmt: skip
    account, key = asyncio.run(_create(name, cast("Terms", said), user))
    if as_json:
        print_json(described(account) | {"key_id": key.key.public_id, "api_key": key.text})
        return
    typer.echo(f"account {account.id}  {account.name}")
    typer.echo(f"key     {key.text}")
    typer.echo("Keep the key now: it is not shown again.", err=True)


@accounts.command(name="list")
def list_accounts(*, as_json: AsJson = False) -> None:
    """Print all accounts by name with what they have used, closed ones too."""
    found = asyncio.run(_every())
    if as_json:
        print_json([described(account) for account in found])
        return
    heads = ("id", "name", "course", "used tokens", "limit", "renewal", "state")
    show(heads, [
        (each.id, each.name, each.course, each.used_tokens, limit(each.token_limit), each.renewal, _state(each))
        for each in found
    ])  # fmt: skip


@accounts.command(name="show")
def show_account(reference: Reference, *, as_json: AsJson = False) -> None:
    """Print all that an account is."""
    profile = asyncio.run(_profile(reference))
    codes = [user.code for user in profile.users]
    told = described(profile.account) | {"users": codes, "api_key": profile.key.masked if profile.key else None}
    if as_json:
        print_json(told)
        return
    show_one(told)


@accounts.command()
def update(  # noqa: PLR0913 (what of an account may be changed)
    reference: Reference,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    course: terms.Course = None,
    budget: terms.Budget = None,
    budget_microusd: terms.BudgetMicrousd = None,
    renewal: terms.Renewal = None,
    carries_over: terms.CarriesOver = None,
    term: terms.Term = None,
    time_zone: terms.TimeZone = None,
    fits: terms.Fits = None,
    stores: terms.Stores = None,
    retention_days: terms.RetentionDays = None,
    requests_per_minute: terms.RequestsPerMinute = None,
    tokens_per_minute: terms.TokensPerMinute = None,
    concurrent_requests: terms.ConcurrentRequests = None,
    user: Users = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of an account; its users become those that are given."""
    said = terms.given(
        name=name, course=course, budget=budget, budget_microusd=budget_microusd, renewal=renewal,
        carries_over=carries_over, terms=term, time_zone=time_zone, fits=fits, stores=stores,
        retention_days=retention_days, requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute,
        concurrent_requests=concurrent_requests,
    )  # fmt: skip
    account = asyncio.run(_update(reference, cast("Changes", said), user))
    if as_json:
        print_json(described(account))
        return
    show_one(described(account))


@accounts.command()
def close(reference: Reference) -> None:
    """Refuse the account's keys from now on and free its name; its records stay."""
    account = asyncio.run(_close(reference))
    typer.echo(f"account {account.id}  {account.name}  closed")


@accounts.command()
def budgets(
    reference: Reference,
    *,
    end_users: Annotated[bool, typer.Option("--end-users", help="Those of its end users instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the budgets of an account, of its keys and of models within it."""
    found = asyncio.run(_of_end_users(reference) if end_users else _budgets(reference))
    if as_json:
        print_json([_standing(each) for each in found])
        return
    heads = ("subject", "tokens", "limit", "micro-dollars", "limit", "renewal")
    show(heads, [
        (
            each.subject,
            each.period.used_tokens if each.period else 0,
            limit(each.period.token_limit if each.period else each.budget.token_limit),
            each.period.used_microusd if each.period else 0,
            limit(each.period.microusd_limit if each.period else each.budget.microusd_limit),
            each.budget.renewal,
        )
        for each in found
    ])  # fmt: skip


@accounts.command()
def budget(  # noqa: PLR0913 (what a budget is)
    reference: Reference,
    subject: Subject,
    *,
    budget: terms.Budget = None,
    budget_microusd: terms.BudgetMicrousd = None,
    renewal: terms.Renewal = None,
    carries_over: terms.CarriesOver = None,
    term: terms.Term = None,
    remove: Annotated[bool, typer.Option("--remove", help="Lift its limits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make or change a budget of an account, of a key or of a model within it."""
    said = terms.given(
        budget=budget, budget_microusd=budget_microusd, renewal=renewal, carries_over=carries_over, terms=term
    )
    told = _standing(asyncio.run(_budget(reference, subject, None if remove else cast("Rules", said))))
    if as_json:
        print_json(told)
        return
    show_one(told)


def described(account: Account) -> dict[str, Any]:
    """The account as JSON; times in seconds since 1970."""
    return {
        "id": account.id,
        "name": account.name,
        "active": account.active,
        "course": account.course,
        "token_limit": account.token_limit,
        "used_tokens": account.used_tokens,
        "microusd_limit": account.microusd_limit,
        "used_microusd": account.used_microusd,
        "renewal": account.renewal,
        "carries_over": account.carries_over,
        "terms": account.terms,
        "time_zone": account.time_zone,
        "fits": account.fits,
        "stores": account.stores,
        "retention_days": account.retention_days,
        "requests_per_minute": account.requests_per_minute,
        "tokens_per_minute": account.tokens_per_minute,
        "concurrent_requests": account.concurrent_requests,
        "created_at": seconds(account.created_at),
    }


def _state(account: Account) -> str:
    return "open" if account.active else "closed"


def _standing(found: Standing) -> dict[str, Any]:
    return {
        "subject": found.subject,
        "token_limit": found.budget.token_limit,
        "microusd_limit": found.budget.microusd_limit,
        "renewal": found.budget.renewal,
        "carries_over": found.budget.carries_over,
        "terms": found.budget.terms,
        "used_tokens": found.period.used_tokens if found.period else 0,
        "used_microusd": found.period.used_microusd if found.period else 0,
        "ends_at": seconds(found.period.ends_at) if found.period else None,
    }


async def _create(name: str, said: Terms, codes: list[str] | None) -> tuple[Account, NewKey]:
    async with opened(makes=True) as parts:
        if codes:
            said["users"] = await _user_ids(parts, codes)
        return await parts.accounts.create_with_key(name, parts.keys, OPERATOR, **said)


async def _every() -> list[Account]:
    async with opened() as parts:
        return await parts.accounts.every()


async def _profile(reference: str) -> Profile:
    async with opened() as parts:
        return await parts.directory.of((await parts.accounts.find(reference)).id)


async def _update(reference: str, said: Changes, codes: list[str] | None) -> Account:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        if codes:
            said["users"] = await _user_ids(parts, codes)
        await parts.accounts.update(account.id, said, OPERATOR)
        return (await parts.directory.of(account.id)).account


async def _user_ids(parts: Opened, codes: list[str]) -> list[int]:
    known = {user.code: user.id for user, _ in await parts.directory.people()}
    for code in codes:
        if code not in known:
            raise InvalidRequest(f"User with code {code} does not exist", param="users")
    return [known[code] for code in codes]


async def _close(reference: str) -> Account:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        await parts.accounts.close(account.id, OPERATOR)
        return account


async def _budgets(reference: str) -> list[Standing]:
    async with opened() as parts:
        return await parts.budgets.of_account((await parts.accounts.find(reference)).id)


async def _of_end_users(reference: str) -> list[Standing]:
    async with opened() as parts:
        account_id, found = (await parts.accounts.find(reference)).id, list[Standing]()
        while page := await parts.budgets.of_end_users(account_id, _end_user(found), PAGE):
            found += page
        return found


def _end_user(found: list[Standing]) -> str:
    """The id of the last of those that were found."""
    return found[-1].subject.partition(":")[2] if found else ""


async def _budget(reference: str, subject: str, said: Rules | None) -> Standing:
    """None lifts the limits."""
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        if said is None:
            return await parts.budgets.remove(account.id, subject, OPERATOR)
        return await parts.budgets.put(account.id, subject, said, OPERATOR)
