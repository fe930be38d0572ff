"""`llm-backend users`: the people whom accounts are for."""

import asyncio
from typing import Annotated, Any

import typer

from llm_backend.cli.accounts import AsJson
from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.cli.printing import print_json, seconds, show
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
    if as_json:
        print_json(described(user))
        return
    typer.echo(f"user {user.id}  {user.code}")


@users.command(name="list")
def list_users(*, as_json: AsJson = False) -> None:
    """Print all users by code."""
    found = asyncio.run(_every())
    if as_json:
        print_json([described(user) for user, _ in found])
        return
    show(("id", "code", "name", "account"), [(user.id, user.code, user.name, name) for user, name in found])


def described(user: User) -> dict[str, Any]:
    """The user as JSON; times in seconds since 1970."""
    return {
        "id": user.id,
        "code": user.code,
        "name": user.name,
        "account_id": user.account_id,
        "created_at": seconds(user.created_at),
    }


async def _create(code: str, name: str | None, account: str | None) -> User:
    async with opened(makes=True) as parts:
        account_id = None if account is None else (await parts.accounts.find(account)).id
        return await parts.users.create(code, name, account_id, OPERATOR)


async def _every() -> list[tuple[User, str | None]]:
    """Each user with the name of its account."""
    async with opened() as parts:
        return [(user, profile.account.name if profile else None) for user, profile in await parts.directory.people()]
