"""`llm-backend accounts`: who may use this server."""

import asyncio
import json
from typing import Annotated, Any

import typer

from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.domain.keys import NewKey
from llm_backend.storage.accounts import Account

accounts = typer.Typer(name="accounts", help="Accounts, each with keys of its own.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]
Reference = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name, or its id.")]


@accounts.command()
def create(name: str, *, as_json: AsJson = False) -> None:
    """Make an account with its first key, which is shown this once."""
    account, key = asyncio.run(_create(name))
    if as_json:
        typer.echo(json.dumps(described(account) | {"key_id": key.key.public_id, "api_key": key.text}))
        return
    typer.echo(f"account {account.id}  {account.name}")
    typer.echo(f"key     {key.text}")
    typer.echo("Keep the key now: it is not shown again.", err=True)


@accounts.command(name="list")
def list_accounts(*, as_json: AsJson = False) -> None:
    """Print all accounts by name with what they have used, closed ones too."""
    found = asyncio.run(_every())
    if as_json:
        typer.echo(json.dumps([described(account) for account in found]))
        return
    for account in found:
        limit = "no limit" if account.token_limit is None else f"of {account.token_limit}"
        closed = "" if account.active else "  (closed)"
        typer.echo(f"{account.id:>6}  {account.name}  {account.used_tokens} tokens used, {limit}{closed}")


@accounts.command()
def close(reference: Reference) -> None:
    """Refuse the account's keys from now on and free its name; its records stay."""
    account = asyncio.run(_close(reference))
    typer.echo(f"account {account.id}  {account.name}  closed")


def described(account: Account) -> dict[str, Any]:
    """The account as JSON; times in seconds since 1970."""
    return {
        "id": account.id,
        "name": account.name,
        "active": account.active,
        "course": account.course,
        "token_limit": account.token_limit,
        "used_tokens": account.used_tokens,
        "created_at": int(account.created_at.timestamp()),
    }


async def _create(name: str) -> tuple[Account, NewKey]:
    async with opened() as parts:
        return await parts.accounts.create_with_key(name, parts.keys, OPERATOR)


async def _every() -> list[Account]:
    async with opened() as parts:
        return await parts.accounts.every()


async def _close(reference: str) -> Account:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        await parts.accounts.close(account.id, OPERATOR)
        return account
