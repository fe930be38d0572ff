"""`llm-backend keys`: the keys of an account."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from llm_backend.cli import terms
from llm_backend.cli.accounts import AsJson, Reference
from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.cli.printing import limit, print_json, seconds, show, show_one
from llm_backend.domain import leaks
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.key_terms import END_USER_LIMITS, END_USER_RATES, RATES, KeyChanges
from llm_backend.domain.keys import GRACE_LIMIT_SECONDS, KEY_PATTERN, NewKey
from llm_backend.domain.leaks import Finding
from llm_backend.errors import InvalidRequest
from llm_backend.storage.keys import Key

keys = typer.Typer(name="keys", help="Keys of an account.", no_args_is_help=True)

LIMITS_OF_END_USERS = (*END_USER_LIMITS, "end_user_renewal", *END_USER_RATES)
OF_END_USERS = ("trusted_frontend", *LIMITS_OF_END_USERS)

KeyReference = Annotated[str, typer.Argument(metavar="KEY", help="Its public id, or the key itself.")]


@keys.command()
def create(  # noqa: PLR0913 (what a key is)
    account: Reference,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: terms.Scope = None,
    model: terms.Models = None,
    expires: terms.Expires = None,
    requests_per_minute: terms.RequestsPerMinute = None,
    tokens_per_minute: terms.TokensPerMinute = None,
    concurrent_requests: terms.ConcurrentRequests = None,
    trusted_frontend: terms.TrustedFrontend = None,
    end_user_budget: terms.EndUserBudget = None,
    end_user_budget_microusd: terms.EndUserBudgetMicrousd = None,
    end_user_renewal: terms.EndUserRenewal = None,
    end_user_requests_per_minute: terms.EndUserRequestsPerMinute = None,
    end_user_tokens_per_minute: terms.EndUserTokensPerMinute = None,
    end_user_concurrent_requests: terms.EndUserConcurrentRequests = None,
    as_json: AsJson = False,
) -> None:
    """Make another key, which is shown this once."""
    said = terms.given(
        name=name, scopes=scope, models=model, expires=expires, requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute, concurrent_requests=concurrent_requests,
        trusted_frontend=trusted_frontend, end_user_budget=end_user_budget,
        end_user_budget_microusd=end_user_budget_microusd, end_user_renewal=end_user_renewal,
        end_user_requests_per_minute=end_user_requests_per_minute,
        end_user_tokens_per_minute=end_user_tokens_per_minute,
        end_user_concurrent_requests=end_user_concurrent_requests,
    )  # fmt: skip
    _refuse_end_users_of_none(said)
    _tell(asyncio.run(_create(account, cast("KeyChanges", said))), as_json=as_json)


@keys.command(name="list")
def list_keys(account: Reference, *, as_json: AsJson = False) -> None:
    """Print what is known of the account's keys, oldest first."""
    found = asyncio.run(_of_account(account))
    if as_json:
        print_json([described(key) for key in found])
        return
    show(("key", "ends in", "state", "last used", "name", "models"), [
        (each.public_id, each.last4, _state(each), each.last_used_on, each.name, ", ".join(each.models or ["all"]))
        for each in found
    ])  # fmt: skip


@keys.command(name="show")
def show_key(key: KeyReference, *, as_json: AsJson = False) -> None:
    """Print all that is known of a key."""
    told = described(asyncio.run(_find(_public_id(key))))
    if as_json:
        print_json(told)
        return
    show_one(told | {name: limit(told[name]) for name in (*RATES, *END_USER_LIMITS, *END_USER_RATES)})


@keys.command()
def update(  # noqa: PLR0913 (what of a key may be changed)
    key: KeyReference,
    *,
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    scope: terms.Scope = None,
    model: terms.Models = None,
    every_model: Annotated[bool, typer.Option("--every-model", help="Lift the limit to some models.")] = False,
    expires: terms.Expires = None,
    requests_per_minute: terms.RequestsPerMinute = None,
    tokens_per_minute: terms.TokensPerMinute = None,
    concurrent_requests: terms.ConcurrentRequests = None,
    trusted_frontend: terms.TrustedFrontend = None,
    end_user_budget: terms.EndUserBudget = None,
    end_user_budget_microusd: terms.EndUserBudgetMicrousd = None,
    end_user_renewal: terms.EndUserRenewal = None,
    end_user_requests_per_minute: terms.EndUserRequestsPerMinute = None,
    end_user_tokens_per_minute: terms.EndUserTokensPerMinute = None,
    end_user_concurrent_requests: terms.EndUserConcurrentRequests = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a key that is not revoked."""
    said = terms.given(
        name=name, scopes=scope, models=model, expires=expires, requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute, concurrent_requests=concurrent_requests,
        trusted_frontend=trusted_frontend, end_user_budget=end_user_budget,
        end_user_budget_microusd=end_user_budget_microusd, end_user_renewal=end_user_renewal,
        end_user_requests_per_minute=end_user_requests_per_minute,
        end_user_tokens_per_minute=end_user_tokens_per_minute,
        end_user_concurrent_requests=end_user_concurrent_requests,
    )  # fmt: skip
    if every_model:
        said["models"] = None
    told = described(asyncio.run(_update(_public_id(key), cast("KeyChanges", said))))
    if as_json:
        print_json(told)
        return
    show_one(told)


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
    _tell(asyncio.run(_rotate(_public_id(key), grace_seconds)), as_json=as_json)


@keys.command()
def revoke(key: KeyReference) -> None:
    """Refuse a key from now on."""
    public_id = _public_id(key)
    asyncio.run(_revoke(public_id))
    typer.echo(f"{public_id} revoked")


@keys.command()
def report(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A key a line; - for what is piped in.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Revoke keys that were found where they should not be; what is no key of this server changes nothing."""
    findings = asyncio.run(_report([line for line in _read(file).splitlines() if line.strip()]))
    if as_json:
        print_json([{"key_id": each.key_id, "account_id": each.account_id, "status": each.status} for each in findings])
        return
    show(("line", "key", "account", "status"), [
        (number, each.key_id, each.account_id, each.status.replace("_", " "))
        for number, each in enumerate(findings, 1)
    ])  # fmt: skip


def _refuse_end_users_of_none(said: dict[str, Any]) -> None:
    """Raises InvalidRequest for limits of end users whom a key that is no frontend's would never have."""
    limited = next((name for name in LIMITS_OF_END_USERS if said.get(name) is not None), None)
    if limited and not said.get("trusted_frontend"):
        written = {within: option for option, within in terms.LIMITS.items()}
        option = written.get(limited, limited).replace("_", "-")
        raise InvalidRequest(f"--{option} needs --trusted-frontend: other keys have no end users.", param=limited)


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}.", param_hint="FILE") from None


def described(key: Key) -> dict[str, Any]:
    """What may be told of a key, as JSON; times in seconds since 1970."""
    return {
        "key_id": key.public_id,
        "account_id": key.account_id,
        "name": key.name,
        "last4": key.last4,
        "scopes": key.scopes,
        "models": key.models,
        **{name: getattr(key, name) for name in (*RATES, *OF_END_USERS)},
        "created_at": seconds(key.created_at),
        "expires_at": seconds(key.expires_at),
        "last_used_on": key.last_used_on.isoformat() if key.last_used_on else None,
        "revoked_at": seconds(key.revoked_at),
    }


def _state(key: Key) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at and key.expires_at <= SystemClock().now():
        return "expired"
    return f"until {key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "in use"


def _tell(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(described(made.key) | {"api_key": made.text})
        return
    typer.echo(made.text)
    typer.echo("Keep the key now: it is not shown again.", err=True)


def _public_id(key: str) -> str:
    shape = KEY_PATTERN.fullmatch(key)
    return shape[1] if shape else key


async def _create(reference: str, said: KeyChanges) -> NewKey:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        return await parts.keys.create(account.id, by=OPERATOR, **said)


async def _of_account(reference: str) -> list[Key]:
    async with opened() as parts:
        account = await parts.accounts.find(reference)
        return await parts.keys.of_account(account.id)


async def _find(public_id: str) -> Key:
    async with opened() as parts:
        return await parts.keys.find(public_id)


async def _update(public_id: str, said: KeyChanges) -> Key:
    async with opened() as parts:
        return await parts.keys.update(public_id, said, by=OPERATOR)


async def _revoke(public_id: str) -> None:
    async with opened() as parts:
        await parts.keys.revoke(public_id, by=OPERATOR)


async def _rotate(public_id: str, grace_seconds: int) -> NewKey:
    async with opened() as parts:
        return await parts.keys.rotate(public_id, grace_seconds=grace_seconds, by=OPERATOR)


async def _report(texts: list[str]) -> list[Finding]:
    async with opened() as parts:
        return await leaks.report(parts.keys, texts, OPERATOR)
