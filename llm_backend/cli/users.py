"""`llm-backend users`: the people whom accounts are for."""

import asyncio
import json
from typing import Annotated, Any

import typer

from llm_backend.cli.accounts import AsJson
from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.storage.users import User

users = typer.Typer(name="users", help="The people whom accounts are for.", no_args_is_help=True)


@users.command()
def create(
    code: str,
    *,
    name: Annotated[str | None, typer.Option(help="What the user is called.")] = None,
    account: Annotated[str | None, typer.Option(help="The name or id of the user's account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a user, of an account or of none."""
    user = asyncio.run(_create(code, name, account))
    typer.echo(json.dumps(described(user)) if as_json else f"user {user.id}  {user.code}")


@users.command(name="list")
def list_users(*, as_json: AsJson = False) -> None:
    """Print all users by code."""
    found = asyncio.run(_every())
    if as_json:
        typer.echo(json.dumps([described(user) for user, _ in found]))
        return
    for user, account_name in found:
        typer.echo("  ".join(part for part in (f"{user.id:>6}", user.code, user.name, account_name) if part))


def described(user: User) -> dict[str, Any]:
    """The user as JSON; times in seconds since 1970."""
    return {
        "id": user.id,
        "code": user.code,
        "name": user.name,
        "account_id": user.account_id,
        "created_at": int(user.created_at.timestamp()),
    }


async def _create(code: str, name: str | None, account: str | None) -> User:
    async with opened() as parts:
        account_id = None if account is None else (await parts.accounts.find(account)).id
        return await parts.users.create(code, name, account_id, OPERATOR)


async def _every() -> list[tuple[User, str | None]]:
    """Each user with the name of its account."""
    async with opened() as parts:
        return [(user, profile.account.name if profile else None) for user, profile in await parts.directory.people()]
