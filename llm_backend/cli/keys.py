"""`llm-backend keys`: the keys of an account."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

import typer

from llm_backend.cli.accounts import AsJson, Reference
from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.domain.keys import GRACE_LIMIT_SECONDS, KEY_PATTERN, NewKey
from llm_backend.storage.keys import Key

keys = typer.Typer(name="keys", help="Keys of an account.", no_args_is_help=True)


KeyReference = Annotated[str, typer.Argument(metavar="KEY", help="Its public id, or the key itself.")]


@keys.command()
def create(
    account: Reference,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make another key, which is shown this once."""
    _show(asyncio.run(_create(account, name)), as_json=as_json)


@keys.command(name="list")
def list_keys(account: Reference, *, as_json: AsJson = False) -> None:
    """Print what is known of the account's keys, oldest first."""
    found = asyncio.run(_of_account(account))
    if as_json:
        typer.echo(json.dumps([described(key) for key in found]))
        return
    for key in found:
        used = f"last used {key.last_used_on}" if key.last_used_on else "never used"
        state = "revoked" if key.revoked_at else used
        typer.echo(f"{key.public_id}  …{key.last4}  {state}{f'  {key.name}' if key.name else ''}")


@keys.command()
def rotate(
    key: KeyReference,
    *,
    grace_seconds: Annotated[
        int, typer.Option(min=0, max=GRACE_LIMIT_SECONDS, help="How long the old key may still be used.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a key in the place of another, which is shown this once."""
    _show(asyncio.run(_rotate(_public_id(key), grace_seconds)), as_json=as_json)


@keys.command()
def revoke(key: KeyReference) -> None:
    """Refuse a key from now on."""
    public_id = _public_id(key)
    asyncio.run(_revoke(public_id))
    typer.echo(f"{public_id} revoked")


def described(key: Key) -> dict[str, Any]:
    """What may be told of a key, as JSON; times in seconds since 1970."""
    return {
        "key_id": key.public_id,
        "account_id": key.account_id,
        "name": key.name,
        "last4": key.last4,
        "scopes": key.scopes,
        "created_at": _seconds(key.created_at),
        "expires_at": _seconds(key.expires_at),
        "last_used_on": key.last_used_on.isoformat() if key.last_used_on else None,
        "revoked_at": _seconds(key.revoked_at),
    }


def _show(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(described(made.key) | {"api_key": made.text}))
        return
    typer.echo(made.text)
    typer.echo("Keep the key now: it is not shown again.", err=True)


def _public_id(key: str) -> str:
    shape = KEY_PATTERN.fullmatch(key)
    return shape[1] if shape else key


def _seconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


async def _create(reference: str, name: str) -> NewKey:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        return await parts.keys.create(account.id, name, by=OPERATOR)


async def _of_account(reference: str) -> list[Key]:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        return await parts.keys.of_account(account.id)


async def _revoke(public_id: str) -> None:
    async with opened() as parts:
        await parts.keys.revoke(public_id, by=OPERATOR)


async def _rotate(public_id: str, grace_seconds: int) -> NewKey:
    async with opened() as parts:
        return await parts.keys.rotate(public_id, grace_seconds=grace_seconds, by=OPERATOR)
