"""What the settings say, as the parts take it."""

from datetime import date

from llm_backend.domain.allowances import Allowance
from llm_backend.domain.asking import CHAT_COMPLETION, TEXT_COMPLETION, Customs
from llm_backend.domain.clock import Clock
from llm_backend.domain.piped import StreamLimits
from llm_backend.domain.prices import Dated
from llm_backend.domain.sheet import Terms
from llm_backend.domain.usage import Price
from llm_backend.settings import ModelSettings, PriceTable, Settings
from llm_backend.settings import Upstream as Configured
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.models import Model, Sunset, Target
from llm_backend.upstream.resting import Rests
from llm_backend.upstream.upstream import Manner, Upstream
from llm_backend.upstream.wire import Transport

LEASE_SECONDS = 60
"""For how long a process that says nothing is believed to live."""


def transport_of(upstream: Configured) -> Transport:
    """The way to it: HTTP, or the echo model in this process."""
    if upstream.url is None:
        return EchoTransport(Echo())
    key = upstream.key.get_secret_value() if upstream.key else None
    connect_seconds = upstream.timeouts.connect_seconds
    return HttpTransport(upstream.url, key, connect_seconds=connect_seconds, allow_http=upstream.allow_http)


def upstream(configured: Configured, transport: Transport, clock: Clock) -> Upstream:
    key = configured.key
    return Upstream(
        configured.name,
        transport,
        timeouts=timeouts(configured),
        circuit=Circuit(clock.monotonic),
        rests=Rests(clock.monotonic),
        secrets=(key.get_secret_value(),) if key else (),
        manner=Manner(
            configured.output_cap_field, configured.on_disconnect == "drain", configured.responses == "native"
        ),
    )


def timeouts(configured: Configured) -> Timeouts:
    allowed = configured.timeouts
    return Timeouts(
        connect=allowed.connect_seconds,
        first_byte=allowed.first_byte_seconds,
        first_byte_streamed=allowed.stream_first_byte_seconds,
        idle=allowed.idle_seconds,
        total=allowed.total_seconds,
        total_streamed=allowed.stream_total_seconds,
    )


def total_seconds(settings: Settings) -> float:
    """What a whole answer may take: as long as the most patient of its upstreams allows."""
    return max(upstream.timeouts.total_seconds for upstream in settings.every_upstream)


def model(name: str, model: ModelSettings) -> Model:
    return Model(
        name,
        tuple(Target(target.name, target.model, target.weight) for target in model.targets),
        context_length=model.context_length,
        max_output_tokens=model.max_output_tokens,
        image_tokens=model.image_tokens,
        made_image_tokens=model.made_image_tokens,
        audio_tokens_per_minute=model.audio_tokens_per_minute,
        page_tokens=model.page_tokens,
        output_cap_field=model.output_cap_field,
        defaults=model.defaults,
        fallback=model.fallback,
        fallback_on=frozenset(model.fallback_on),
        sunset=Sunset(model.shutdown_date, model.successor) if model.shutdown_date else None,
    )


def priced(settings: Settings) -> dict[str, list[Dated]]:
    """Of every model, its own price first and then those that have a date."""
    return {
        name: [dated(date.min, model), *(dated(later.starts, later) for later in model.prices)]
        for name, model in settings.models.items()
    }


def allowances(settings: Settings) -> dict[str, Allowance]:
    """Of every model, what everybody together may ask of it."""
    return {
        name: Allowance(model.requests_per_minute, model.tokens_per_minute, model.concurrent_requests)
        for name, model in settings.models.items()
    }


def dated(starts: date, table: PriceTable) -> Dated:
    return Dated(starts, Price.from_json(table.rates) if table.rates else None)


def terms(settings: Settings, owner: str) -> Terms:
    budgets = settings.budgets
    return Terms(owner, LEASE_SECONDS, budgets.soft_limit_percent, tells=budgets.webhook_url is not None)


def customs(settings: Settings) -> Customs:
    """What holds below `/api/chats`."""
    chats = settings.chats
    return Customs(
        models={CHAT_COMPLETION: chats.chat_model, TEXT_COMPLETION: chats.text_model},
        temperature=chats.temperature,
        prefixes={
            "system": chats.prefixes.instruction,
            "user": chats.prefixes.user,
            "assistant": chats.prefixes.assistant,
        },
        soft_limit_percent=settings.budgets.soft_limit_percent,
    )


def stream_limits(settings: Settings) -> StreamLimits:
    limits = settings.limits
    return StreamLimits(
        queue_bytes=limits.stream_queue_bytes,
        stall_seconds=limits.stall_seconds,
        keep_alive_seconds=limits.keep_alive_seconds,
    )
