"""What no single value can break: rules between settings, one line each."""

from base64 import b64decode
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_backend.settings import model_checks

if TYPE_CHECKING:
    from llm_backend.settings.model import Settings

SHORT_TOKEN_BYTES = 16
GOOD_TOKEN_BYTES = 32


def problems(settings: "Settings") -> Iterator[str]:
    """Every reason not to start with `settings`."""
    yield from _access(settings)
    yield from _metrics(settings)
    yield from _database(settings)
    yield from _upstreams(settings)
    yield from model_checks.problems(settings)
    yield from _webhook(settings)


def warnings(settings: "Settings") -> Iterator[str]:
    """What the operator should read at each start."""
    if settings.auth == "open" and settings.auth_open_everywhere:
        yield "AUTH=open with AUTH_OPEN_EVERYWHERE: whoever reaches this server spends the upstream's key."
    if _shortest(settings) < GOOD_TOKEN_BYTES:
        yield f"ADMIN_TOKEN is shorter than {GOOD_TOKEN_BYTES} bytes."
    if settings.relay.unowned:
        yield "relay.unowned is on: every key may name what any other has made at the upstream, before or elsewhere."
    if settings.relay.unmetered:
        yield f"relay.unmetered: what {', '.join(settings.relay.unmetered)} cost at the upstream is charged to nobody."
    if settings.log.prompts:
        yield "log.prompts is on: prompts, with all that is private in them, ARE WRITTEN TO THE LOG."
    yield from _upstream_warnings(settings)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _shortest(settings: "Settings") -> int:
    """Bytes of the shortest admin token; long where there is none."""
    sizes = (len(token.get_secret_value().encode()) for token in settings.admin_tokens)
    return min(sizes, default=GOOD_TOKEN_BYTES)


def _access(settings: "Settings") -> Iterator[str]:
    local = is_loopback(settings.host)
    if settings.auth == "open" and not local and not settings.auth_open_everywhere:
        yield "AUTH=open serves this machine only: set HOST=127.0.0.1, AUTH=keys, or AUTH_OPEN_EVERYWHERE=yes."
    if settings.auth == "open" and settings.cors_origins:
        yield "CORS_ORIGINS needs AUTH=keys: with AUTH=open any web page that is let in could spend the upstream's key."
    if not local and _shortest(settings) < SHORT_TOKEN_BYTES:
        yield f"ADMIN_TOKEN must be {SHORT_TOKEN_BYTES} bytes or more unless HOST=127.0.0.1."


def _metrics(settings: "Settings") -> Iterator[str]:
    if settings.metrics_port is not None and settings.workers > 1:
        yield "METRICS_PORT needs WORKERS=1: each worker counts for itself, and one port tells of one."
    if settings.metrics_port and settings.metrics_port == settings.port:
        yield "METRICS_PORT must be another port than PORT."


def _database(settings: "Settings") -> Iterator[str]:
    if settings.is_sqlite and settings.workers > 1:
        yield "WORKERS above 1 needs PostgreSQL: set DATABASE_URL=postgresql://… or WORKERS=1."
    if not settings.is_sqlite and settings.secret_key is None:
        yield "SECRET_KEY is needed with PostgreSQL: 32 bytes or more, the same for every replica and every start."


def _upstreams(settings: "Settings") -> Iterator[str]:
    known = {upstream.name for upstream in settings.every_upstream}
    if settings.relay.upstream is not None and settings.relay.upstream not in known:
        yield f'relay.upstream names "{settings.relay.upstream}", which is none of {", ".join(sorted(known))}.'
    for upstream in settings.every_upstream:
        url = urlsplit(upstream.url or "")
        if url.scheme == "http" and not is_loopback(url.hostname or "") and not upstream.allow_http:
            where = f"upstreams.{upstream.name}.allow_http = true" if settings.upstreams else "UPSTREAM_ALLOW_HTTP=yes"
            yield f"The upstream's URL is plain http:// beyond this machine: use https://, or allow it by {where}."


def _upstream_warnings(settings: "Settings") -> Iterator[str]:
    """Variables that an upstream of the file has taken the place of, and URLs that look cut short."""
    if settings.upstreams:
        # A key that `key_env` names is that of an upstream.
        is_used = settings.openai_api_key in {upstream.key for upstream in settings.every_upstream}
        if settings.openai_api_key and not is_used:
            yield "OPENAI_API_KEY is not used: the configuration file names the upstream."
        if settings.openai_base_url:
            yield "OPENAI_BASE_URL is not used: the configuration file names the upstream."
    for upstream in settings.every_upstream:
        if upstream.url and not urlsplit(upstream.url).path.strip("/"):
            where = f"upstreams.{upstream.name}.url" if settings.upstreams else "OPENAI_BASE_URL"
            yield f"{where} has no path; most end in /v1."


def _webhook(settings: "Settings") -> Iterator[str]:
    url = urlsplit(settings.budgets.webhook_url or "")
    secret = settings.budgets.webhook_secret
    if url.netloc and not secret:
        yield "WEBHOOK_URL needs WEBHOOK_SECRET: what is told is signed."
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield "WEBHOOK_URL is plain http:// beyond this machine: use https://."
    if secret and secret.get_secret_value().startswith("whsec_"):
        try:
            b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
        except ValueError:
            yield "WEBHOOK_SECRET begins with whsec_: what follows has to be base64."
