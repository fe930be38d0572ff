"""Upstreams, models and prices as the settings say them now: read again while requests run, adopted whole or not."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from llm_backend import logs
from llm_backend.configured import allowances, model, priced, upstream
from llm_backend.domain.clock import Clock
from llm_backend.domain.limits import Limits
from llm_backend.domain.prices import Prices
from llm_backend.metrics import Metrics
from llm_backend.settings import Settings, SettingsRefused, Source
from llm_backend.settings import Upstream as Configured
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from llm_backend.upstream.wire import Transport

LOOK_SECONDS = 2.0
"""How often is looked whether the file has changed."""

ADOPTED = frozenset(
    {
        *("upstreams", "models", "aliases", "default_model", "timeouts"),
        *("openai_api_key", "openai_base_url", "upstream_allow_http", "upstream_responses"),
    }
)
"""What holds as soon as it is read. The rest needs a new start, and so does `timeouts` for whole requests."""

log = structlog.get_logger("llm_backend.reloading")


@dataclass(frozen=True, slots=True)
class Routing:
    """The parts that go by upstreams and models."""

    transport_of: Callable[[Configured], Transport]
    """Makes the way to an upstream."""
    clock: Clock
    upstreams: Upstreams
    catalogue: Catalogue
    prices: Prices
    limits: Limits

    @classmethod
    def of(
        cls, settings: Settings, transport_of: Callable[[Configured], Transport], clock: Clock, limits: Limits
    ) -> "Routing":
        """As it is at the start."""
        upstreams = Upstreams(upstream(each, transport_of(each), clock) for each in settings.every_upstream)
        catalogue = Catalogue(
            upstreams,
            models=[model(name, told) for name, told in settings.models.items()],
            aliases=settings.aliases,
            default_model=settings.default_model,
            clock=clock.monotonic,
        )
        return cls(transport_of, clock, upstreams, catalogue, Prices(priced(settings)), limits)

    async def adopt(self, before: Settings, now: Settings) -> None:
        """Go by `now`. An upstream of which nothing has changed keeps its connections, its circuit and its list.

        Raises ValueError, and changes nothing, where the models and upstreams do not fit together.
        """
        known = {each: self.upstreams.get(each.name) for each in before.every_upstream}
        upstreams = [known.get(each) or self._made(each) for each in now.every_upstream]
        models = [model(name, told) for name, told in now.models.items()]
        self.catalogue.adopt(upstreams, models=models, aliases=now.aliases, default_model=now.default_model)
        self.prices.adopt(priced(now))
        self.limits.adopt(allowances(now))
        await self.upstreams.replace(upstreams)

    def _made(self, configured: Configured) -> Upstream:
        return upstream(configured, self.transport_of(configured), self.clock)


class Reloading:
    """Looks for new settings, whenever the file changes or somebody asks."""

    def __init__(self, settings: Settings, source: Source | None, metrics: Metrics) -> None:
        """`source` None: the settings stay what they are."""
        self._started_with = settings
        self._settings = settings
        self._source = source
        self._metrics = metrics
        self._is_asked = False

    def ask(self) -> None:
        """Read them at the next look, even if the file is the same; may be called within a signal's handler."""
        self._is_asked = True

    async def look(self, routing: Routing) -> None:
        """Read the settings again where there is reason to; wrong ones change nothing."""
        if self._source is None or not (self._is_asked or self._source.has_changed):
            return
        self._is_asked = False
        try:
            settings = await asyncio.to_thread(self._source.load)
        except SettingsRefused as refused:
            self._metrics.reloads("refused").inc()
            log.error("settings_refused", problems=" ".join(refused.problems))  # noqa: TRY400 (they say it all)
            return
        # Before anybody can write a line about the new ones.
        logs.withhold(settings.secrets)
        await routing.adopt(self._settings, settings)
        self._settings = settings
        self._metrics.reloads("adopted").inc()
        log.info("settings_reloaded", upstreams=len(settings.every_upstream), models=len(settings.models))
        if waiting := _changed(self._started_with, settings):
            log.warning("settings_need_a_restart", names=", ".join(waiting))


def _changed(before: Settings, now: Settings) -> list[str]:
    """The names of what differs and is not adopted while requests run."""
    names = [name for name, value in before if name not in ADOPTED and getattr(now, name) != value]
    patience = [settings.timeouts.total_seconds for settings in (before, now)]
    return names + (["timeouts.total_seconds"] if patience[0] != patience[1] else [])
