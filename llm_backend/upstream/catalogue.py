"""Which models there are: a name that a client says, who answers to it, and what it is called there."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from llm_backend.errors import InvalidRequest, Json, ModelNotFound
from llm_backend.model_ids import RULE, is_model_id, seems_to_chat
from llm_backend.upstream.listing import Listing
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams

CHATBOT_UI_MODELS = ("gpt-3.5-turbo", "gpt-35-turbo", "gpt-4", "gpt-4-32k")
"""The only ids that chatbot-ui offers its users; it shows nothing where none of them is listed."""


@dataclass(frozen=True, slots=True)
class Model:
    """One configured model. What is not known of it is None."""

    name: str
    upstream_name: str
    upstream: str | None = None
    """Who answers; None: the upstream that is asked where nothing else says who."""
    context_length: int | None = None
    max_output_tokens: int | None = None
    image_tokens: int | None = None
    """The most that one image counts."""
    made_image_tokens: int | None = None
    audio_tokens_per_minute: int | None = None
    page_tokens: int | None = None

    def view(self, owner: str) -> Json:
        """Show it as OpenAI's `Model`, with its sizes where they are known."""
        sizes = {"context_length": self.context_length, "max_output_tokens": self.max_output_tokens}
        known = {name: size for name, size in sizes.items() if size is not None}
        return {"id": self.name, "object": "model", "created": 0, "owned_by": owner, **known}


@dataclass(frozen=True, slots=True)
class Route:
    """Where one request goes."""

    upstream: Upstream
    upstream_model: str
    """What the model is called there."""
    public_model: str
    """What the caller called it."""
    model: Model | None
    """What is configured of it; None where the upstream's own list is served."""

    @property
    def is_renamed(self) -> bool:
        """Whether answers must say `public_model` in place of what the upstream says."""
        return self.upstream_model != self.public_model


class Catalogue:
    """The models of all upstreams, under their own names and aliases.

    With models configured, these and the aliases are listed, and what is listed is what may be called. With none, the
    upstreams' lists are shown and any name is passed on: upstreams serve names that they do not list (fine-tuned,
    dated, deployments), and refusing one here would break what works there. What is listed can still be called. A
    name in several lists is the first one's, a name in none the first upstream's.
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

        `clock` counts seconds. Raises ValueError where an alias or the default names no configured model, or an alias
        names an alias.
        """
        self._upstreams = upstreams
        self._models = {model.name: model for model in models}
        self._aliases = dict(aliases or {})
        self._default = default_model
        self._listings = {upstream: Listing(upstream, clock) for upstream in upstreams}
        self._check()

    async def route(self, model: str) -> Route:
        """Find who answers to `model`.

        Raises InvalidRequest where it can be no model's name, ModelNotFound where models are configured and it is none.
        """
        if not is_model_id(model):
            raise InvalidRequest(RULE, param="model")
        name = (await self._all_aliases(model)).get(model, model)
        known = self._models.get(name)
        if self._models and known is None:
            raise no_such_model(model)
        if known is None:
            return Route(await self._lister(name), name, model, None)
        upstream = self._upstreams.default if known.upstream is None else self._upstreams.get(known.upstream)
        return Route(upstream, known.upstream_name, model, known)

    async def list(self) -> Sequence[Json]:
        """All models and aliases as OpenAI's `Model` objects.

        While the upstream has never shown its list, what is configured is all there is to show; with nothing
        configured the UpstreamFailed (or Overloaded) is raised: an empty list would say that there are no models.
        """
        shown = await self._shown()
        aliases = await self._all_aliases()
        return [*shown.values(), *(self._alias_view(name, shown.get(to)) for name, to in aliases.items())]

    async def get(self, model: str) -> Json:
        """Show one listed model or alias. Raises ModelNotFound, or as `list` does."""
        for view in await self.list():
            if view["id"] == model:
                return view
        raise no_such_model(model)

    async def close(self) -> None:
        for listing in self._listings.values():
            await listing.close()

    async def _lister(self, name: str) -> Upstream:
        """Whose model that is: the first that lists it, else the first of all."""
        upstreams = list(self._upstreams)
        if len(upstreams) == 1:
            return upstreams[0]
        await self._listed()
        lists = [(upstream, await self._listings[upstream].known() or {}) for upstream in upstreams]
        return next((upstream for upstream, listed in lists if name in listed), upstreams[0])

    async def _listed(self) -> Mapping[str, Json] | None:
        """Join the upstreams' lists, of a name the first; None where none of them was ever able to say."""
        lists = await asyncio.gather(*(self._listings[upstream].known() for upstream in self._upstreams))
        known = [listed for listed in lists if listed is not None]
        joined: dict[str, Json] = {}
        for listed in known:
            for name, view in listed.items():
                joined.setdefault(name, view)
        return joined if known else None

    async def _current(self) -> Mapping[str, Json]:
        """As `_listed`. Raises what asking the first upstream raised, where no list was ever there."""
        listed = await self._listed()
        return await self._listings[self._upstreams.default].current() if listed is None else listed

    def _check(self) -> None:
        for alias, name in self._aliases.items():
            if name in self._aliases:
                raise ValueError(f"The alias {alias!r} names the alias {name!r}; it has to name a model.")
            if self._models and name not in self._models:
                raise ValueError(f"The alias {alias!r} names {name!r}, which is no configured model.")
        if self._models and self._default is not None and self._target(self._default) not in self._models:
            raise ValueError(f"The default model {self._default!r} is no configured model.")

    def _target(self, name: str) -> str:
        return self._aliases.get(name, name)

    async def _shown(self) -> Mapping[str, Json]:
        """Collect the models under their own names; an alias that was configured hides a model of the same name."""
        if self._models:
            found = {
                name: model.view(model.upstream or self._upstreams.default.name) for name, model in self._models.items()
            }
        elif self._default is not None:
            name = self._target(self._default)
            found = {name: self._alias_view(name, None), **(await self._listed() or {})}
        elif self._aliases:
            found = dict(await self._listed() or {})
        else:
            found = dict(await self._current())
        return {name: view for name, view in found.items() if name not in self._aliases}

    async def _all_aliases(self, wanted: str | None = None) -> Mapping[str, str]:
        """Join the configured aliases and chatbot-ui's ids that no model bears; only as much as `wanted` needs.

        A request for any other model never waits for the upstream's list.
        """
        if wanted is not None and wanted not in CHATBOT_UI_MODELS:
            return self._aliases
        taken: Mapping[str, Json] | None = self._models or await self._listed()
        default = self._stand_in(taken)
        if default is None:
            return self._aliases
        absent = (name for name in CHATBOT_UI_MODELS if name not in (taken or {}) and name != default)
        return {**dict.fromkeys(absent, default), **self._aliases}

    def _stand_in(self, listed: Mapping[str, Json] | None) -> str | None:
        """Choose what answers for chatbot-ui's ids: the default, else echo, else the first listed model that chats.

        With models configured there is none but a default that was named: who wrote down which models there are does
        not want four more.
        """
        if self._default is not None:
            return self._target(self._default)
        if self._models or not listed:
            return None
        if "echo" in listed:
            return "echo"
        return next(filter(seems_to_chat, listed), None)

    def _alias_view(self, name: str, target: Json) -> Json:
        shown = target or {"object": "model", "created": 0, "owned_by": self._upstreams.default.name}
        return {"id": name, **{key: value for key, value in shown.items() if key != "id"}}


def no_such_model(model: str) -> ModelNotFound:
    """Say of a name that nothing answers to it here, or not to whoever asks: the two are told alike."""
    shown = model if is_model_id(model) else "…"
    return ModelNotFound(f"The model `{shown}` does not exist or you do not have access to it.", param="model")
