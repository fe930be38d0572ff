"""Which models there are: a name that a client says, who answers to it, and what it is called there."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic

from llm_backend.errors import Json
from llm_backend.upstream.listing import Listing
from llm_backend.upstream.models import Model
from llm_backend.upstream.offer import Allows, Offer, no_such_model
from llm_backend.upstream.routing import Plan, Route, StickyKey
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams


def everyone(_name: str) -> bool:
    """Who may name every model."""
    return True


def nothing() -> bytes | None:
    """What requests have in common of which nothing is known."""
    return None


class Catalogue:
    """The models of all upstreams, under their own names, aliases and wildcards.

    With models configured, these and the aliases are listed, and what is listed is what may be called; of a wildcard
    what its upstream lists is listed, and every name that fits is passed on. With none, the upstreams' lists are shown
    and any name is passed on: upstreams serve names that they do not list (fine-tuned, dated, deployments), and
    refusing one here would break what works there. What is listed can still be called. A name in several lists is the
    first one's, a name in none the first upstream's.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        *,
        models: Iterable[Model] = (),
        aliases: Mapping[str, str] | None = None,
        default_model: str | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`aliases`: from a client's name to a model's. `default_model`: what stands in for chatbot-ui's ids.

        `clock` counts seconds. Raises as `adopt`.
        """
        self._clock = clock
        self._listings: dict[Upstream, Listing] = {}
        self._left: list[Listing] = []
        self.adopt(upstreams, models=models, aliases=aliases or {}, default_model=default_model)

    def adopt(
        self,
        upstreams: Iterable[Upstream],
        *,
        models: Iterable[Model],
        aliases: Mapping[str, str],
        default_model: str | None,
    ) -> None:
        """Offer these from now on; what was routed before goes where it was to go.

        Raises ValueError, and changes nothing, where they do not fit together.
        """
        listings = {each: self._listings.get(each) or Listing(each, self._clock) for each in upstreams}
        self._offer = Offer(listings, models, aliases, default_model)
        # Somebody may still wait for a list that is no longer shown: it ends by itself.
        gone = [listing for each, listing in self._listings.items() if each not in listings]
        self._left = [listing for listing in (*self._left, *gone) if listing.is_asking]
        self._listings = listings

    @property
    def default_model(self) -> str | None:
        return self._offer.default_model

    async def route(self, model: str) -> Route:
        """Find who answers to `model`. Raises as `plan`."""
        return (await self.plan(model)).route

    async def plan(self, model: str, allows: Allows = everyone, sticky: StickyKey = nothing) -> Plan:
        """Find who answers to `model`, and who in its stead.

        Raises InvalidRequest where it can be no model's name, PermissionDenied where `allows` says no, ModelNotFound
        where models are configured and it is none.
        """
        return await self._offer.plan(model, allows, sticky)

    async def list(self, allows: Allows = everyone) -> Sequence[Json]:
        """All models and aliases that may be named, as OpenAI's `Model` objects.

        While the upstreams have never shown their lists, what is configured is all there is to show; with nothing
        configured the UpstreamFailed (or Overloaded) is raised: an empty list would say that there are no models.
        """
        return [view for name, view in (await self._offer.listed()).items() if allows(name)]

    async def names(self) -> Collection[str]:
        """The ids of all that is listed, in order; whether one is among them costs no look at the others."""
        return (await self._offer.listed()).keys()

    async def get(self, model: str, allows: Allows = everyone) -> Json:
        """Show one listed model or alias. Raises ModelNotFound, also for one that may not be named, or as `list`."""
        view = (await self._offer.listed()).get(model)
        if view is None or not allows(model):
            raise no_such_model(model)
        return view

    async def close(self) -> None:
        for listing in (*self._listings.values(), *self._left):
            await listing.close()
