"""What may be called: names, aliases and wildcards, as they stand in the settings of one moment."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import is_not
from typing import Generic, TypeVar

from llm_backend.errors import InvalidRequest, Json, ModelNotFound, PermissionDenied
from llm_backend.model_ids import RULE, is_model_id, seems_to_chat
from llm_backend.upstream.listing import Listing
from llm_backend.upstream.models import Model
from llm_backend.upstream.routing import Plan, Route, StickyKey, preferred
from llm_backend.upstream.upstream import Upstream

T = TypeVar("T")

CHATBOT_UI_MODELS = ("gpt-3.5-turbo", "gpt-35-turbo", "gpt-4", "gpt-4-32k")
"""The only ids that chatbot-ui offers its users; it shows nothing where none of them is listed."""

Allows = Callable[[str], bool]
"""Whether whoever asks may name that model."""


class Offer:
    """Decides which names are listed and which may be called: `admitted` says both."""

    def __init__(
        self,
        listings: Mapping[Upstream, Listing],
        models: Iterable[Model],
        aliases: Mapping[str, str],
        default_model: str | None,
    ) -> None:
        """`listings`: every upstream, in order, with its list. `aliases`: from a client's name to a model's.

        Raises ValueError where an alias, the default or a fallback names no configured model, an alias names an alias,
        or a model is of an upstream that is not among these.
        """
        self._listings = listings
        self._upstreams = {upstream.name: upstream for upstream in listings}
        self._usual = next(iter(listings))
        every = list(models)
        self._models = {model.name: model for model in every if not model.is_wild}
        self._wild = sorted((model for model in every if model.is_wild), key=lambda model: -len(model.name))
        self._aliases = aliases
        self.default_model = default_model
        self._joined = _Kept[Mapping[str, Json]]()
        self._named = _Kept[Mapping[str, Json]]()
        self._check(every)

    async def plan(self, name: str, allows: Allows, sticky: StickyKey) -> Plan:
        """Find who answers to `name`, and who may stand in: only models that may be named as well.

        Raises as `admitted`.
        """
        target = await self.admitted(name, allows)
        model = self._configured(target)
        if model is None:
            return Plan([Route(await self._lister(target), target, name, None)])
        others = [self._configured(self._aliases.get(other, other)) for other in model.fallback if allows(other)]
        every = [model, *(other for other in others if other is not None)]
        return Plan([route for each in every for route in preferred(self._routes(each, name), sticky)])

    async def admitted(self, name: str, allows: Allows) -> str:
        """Find the model that `name` stands for.

        Raises InvalidRequest where it can be no model's name, PermissionDenied where it may not be named, ModelNotFound
        where models are configured and it is none of them.
        """
        if not is_model_id(name):
            raise InvalidRequest(RULE, param="model")
        if not allows(name):
            raise PermissionDenied("This key may not use that model.", param="model", code="model_not_allowed")
        target = (await self._all_aliases(name)).get(name, name)
        if self._is_configured and self._configured(target) is None:
            raise no_such_model(name)
        return target

    async def listed(self) -> Mapping[str, Json]:
        """All models and aliases by their ids, as OpenAI's `Model` objects. Raises as `Catalogue.list`.

        Made once for as long as the upstreams' lists stay: there may be thousands, of which a request asks for one.
        """
        lists = [await listing.known() for listing in self._shown_lists]
        named = self._named.of(lists)
        if named is None:
            shown = await self._shown()
            aliases = await self._all_aliases()
            named = shown | {name: self._alias_view(name, shown.get(to)) for name, to in aliases.items()}
            self._named.keep(lists, named)
        return named

    @property
    def _shown_lists(self) -> Iterable[Listing]:
        """Those of which anything may be listed here."""
        if not self._is_configured:
            return self._listings.values()
        return [
            self._listings[upstream]
            for upstream in dict.fromkeys(
                self._upstream(target.upstream) for model in self._wild for target in model.targets
            )
        ]

    @property
    def _is_configured(self) -> bool:
        """Whether models are named: they are all there is, then."""
        return bool(self._models or self._wild)

    def _configured(self, name: str) -> Model | None:
        """The model of that name, or of the longest wildcard that stands for it."""
        if known := self._models.get(name):
            return known
        return next((model.called(name) for model in self._wild if model.matches(name)), None)

    def _routes(self, model: Model, name: str) -> Iterator[tuple[Route, int]]:
        for target in model.targets:
            yield Route(self._upstream(target.upstream), target.name or model.name, name, model), target.weight

    def _upstream(self, name: str | None) -> Upstream:
        return self._usual if name is None else self._upstreams[name]

    def _check(self, models: Iterable[Model]) -> None:
        for alias, name in self._aliases.items():
            if name in self._aliases:
                raise ValueError(f"The alias {alias!r} names the alias {name!r}; it has to name a model.")
        named = [*self._aliases.values(), *(other for model in models for other in model.fallback)]
        named += [] if self.default_model is None else [self.default_model]
        for name in named:
            if self._is_configured and self._configured(self._aliases.get(name, name)) is None:
                raise ValueError(f"An alias, a fallback or the default model names {name!r}, which is no model.")
        for target in (target for model in models for target in model.targets):
            if target.upstream is not None and target.upstream not in self._upstreams:
                raise ValueError(f"A model is of the upstream {target.upstream!r}, which is none.")

    async def _lister(self, name: str) -> Upstream:
        """Whose model that is, where none is configured: the first that lists it, else the first of all."""
        if len(self._listings) == 1:
            return self._usual
        lists = zip(self._listings, await self._lists(), strict=True)
        return next((upstream for upstream, models in lists if name in (models or {})), self._usual)

    async def _lists(self) -> Sequence[Mapping[str, Json] | None]:
        """The upstreams' lists, in order; None of one that was never able to say."""
        return await asyncio.gather(*(listing.known() for listing in self._listings.values()))

    async def _every_list(self) -> Mapping[str, Json] | None:
        """Join the upstreams' lists, of a name the first; None where none of them was ever able to say."""
        lists = await self._lists()
        known = [models for models in lists if models is not None]
        if not known:
            return None
        return self._joined.of(lists) or self._joined.keep(lists, _joined(known))

    async def _shown(self) -> dict[str, Json]:
        """Collect the models under their own names; an alias that was configured hides a model of the same name."""
        if self._is_configured:
            found = {name: self._view(each) for name, each in self._models.items()}
            found |= await self._shown_by_wildcards()
        elif self.default_model is not None:
            name = self._target(self.default_model)
            found = {name: self._alias_view(name, None), **(await self._every_list() or {})}
        elif self._aliases:
            found = dict(await self._every_list() or {})
        else:
            # Without any list the error is raised that the first upstream's has.
            found = dict(await self._every_list() or await self._listings[self._usual].current())
        return {name: view for name, view in found.items() if name not in self._aliases}

    async def _shown_by_wildcards(self) -> Mapping[str, Json]:
        """Collect what the upstreams of wildcards list: of several that share one, what each of them has."""
        found: dict[str, Json] = {}
        for model in self._wild:
            upstreams = {self._upstream(target.upstream) for target in model.targets}
            lists = [await self._listings[upstream].known() for upstream in upstreams]
            known = [models for models in lists if models is not None]
            for name, view in _joined(known).items():
                answering = self._configured(name)
                if answering and answering.entry == model.name and all(name in models for models in known):
                    found[name] = answering.view({**view, "id": name})
        return found

    def _view(self, model: Model) -> Json:
        owner = self._upstream(model.targets[0].upstream).name
        return model.view({"object": "model", "created": 0, "owned_by": owner})

    def _alias_view(self, name: str, target: Json) -> Json:
        shown = target or {"object": "model", "created": 0, "owned_by": self._usual.name}
        return {"id": name, **{key: value for key, value in shown.items() if key != "id"}}

    def _target(self, name: str) -> str:
        return self._aliases.get(name, name)

    async def _all_aliases(self, wanted: str | None = None) -> Mapping[str, str]:
        """Join the configured aliases and chatbot-ui's ids that no model bears; only as much as `wanted` needs.

        A request for any other model never waits for an upstream's list.
        """
        if wanted is not None and wanted not in CHATBOT_UI_MODELS:
            return self._aliases
        listed = None if self._is_configured else await self._every_list()
        default = self._stand_in(listed)
        if default is None:
            return self._aliases
        absent = (name for name in CHATBOT_UI_MODELS if name != default and not self._bears(name, listed))
        return {**dict.fromkeys(absent, default), **self._aliases}

    def _bears(self, name: str, listed: Mapping[str, Json] | None) -> bool:
        """Whether a model has that name itself."""
        return self._configured(name) is not None or name in (listed or {})

    def _stand_in(self, listed: Mapping[str, Json] | None) -> str | None:
        """Choose what answers for chatbot-ui's ids: the default, else echo, else the first listed model that chats.

        With models configured there is none but a default that was named: who wrote down which models there are does
        not want four more.
        """
        if self.default_model is not None:
            return self._target(self.default_model)
        if not listed:
            return None
        if "echo" in listed:
            return "echo"
        return next(filter(seems_to_chat, listed), None)


class _Kept(Generic[T]):
    """What was made of some lists: good for as long as they are the very same."""

    def __init__(self) -> None:
        self._lists: Sequence[object] | None = None

    def of(self, lists: Sequence[object]) -> T | None:
        """What was made of these; None where they are others."""
        known = self._lists
        if known is None or len(known) != len(lists) or any(map(is_not, known, lists)):
            return None
        return self._made

    def keep(self, lists: Sequence[object], made: T) -> T:
        self._lists, self._made = lists, made
        return made


def no_such_model(model: str) -> ModelNotFound:
    """Say of a name that nothing answers to it here, or not to whoever asks: the two are told alike."""
    shown = model if is_model_id(model) else "…"
    return ModelNotFound(f"The model `{shown}` does not exist or you do not have access to it.", param="model")


def _joined(lists: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """All that is in any of the lists, in their order; of a name the first."""
    joined: dict[str, Json] = {}
    for models in lists:
        for name, view in models.items():
            joined.setdefault(name, view)
    return joined
