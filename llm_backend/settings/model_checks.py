"""Rules between models, aliases and upstreams, one line each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_backend import model_ids

if TYPE_CHECKING:
    from llm_backend.settings.model import Settings
    from llm_backend.settings.models import ModelSettings

WILD = "*"


def problems(settings: "Settings") -> Iterator[str]:
    """Every name that leads nowhere."""
    of_chats = filter(None, (settings.chats.chat_model, settings.chats.text_model))
    further = (name for model in settings.models.values() for name in _named(model))
    named = (*settings.models, *settings.aliases, *settings.aliases.values(), *of_chats, *further)
    if not all(map(model_ids.is_model_id, named)):
        yield f"models, aliases and chats: {model_ids.RULE}"
        return
    for name, model in settings.models.items():
        yield from _targets(name, model, settings)
        yield from _fallback(name, model, settings)
    yield from _aliases(settings)
    yield from _usual(settings)


def is_callable(name: str, settings: "Settings") -> bool:
    """Whether a model answers to `name`: one of that name, an alias's, or one that a wildcard stands for."""
    target = settings.aliases.get(name, name)
    wild = (known[: -len(WILD)] for known in settings.models if known.endswith(WILD))
    return target in settings.models or any(target.startswith(beginning) for beginning in wild)


def _named(model: "ModelSettings") -> Iterator[str]:
    yield from filter(None, (model.upstream_model, model.successor, *model.fallback))
    yield from filter(None, (target.model for target in model.upstreams))


def _targets(name: str, model: "ModelSettings", settings: "Settings") -> Iterator[str]:
    known = [upstream.name for upstream in settings.every_upstream]
    if model.upstreams and (model.upstream or model.upstream_model):
        yield f'models."{name}" has upstreams, and upstream or upstream_model: one of the two says who answers.'
    for target in model.targets:
        if target.name is not None and target.name not in known:
            yield f'models."{name}" names the upstream "{target.name}", which is none of {", ".join(known)}.'
    if len({(target.name or known[0], target.model) for target in model.targets}) < len(model.targets):
        yield f'models."{name}".upstreams names the same place twice: give it a weight.'
    if WILD in name[:-1]:
        yield f'models."{name}": a * stands at the end.'
    if name.endswith(WILD) and any(target.model for target in model.targets):
        yield f'models."{name}" stands for many models: each goes to its upstream under its own name.'


def _fallback(name: str, model: "ModelSettings", settings: "Settings") -> Iterator[str]:
    for other in model.fallback:
        if not is_callable(other, settings):
            yield f'models."{name}".fallback names "{other}", which is no model and no alias of the file.'
        elif settings.aliases.get(other, other) == name:
            yield f'models."{name}".fallback names the model itself.'
    if model.fallback_on and not model.fallback:
        yield f'models."{name}".fallback_on needs fallback.'
    if model.successor and not model.shutdown_date:
        yield f'models."{name}".successor needs shutdown_date.'


def _aliases(settings: "Settings") -> Iterator[str]:
    for alias, model in settings.aliases.items():
        if alias in settings.models:
            yield f'aliases."{alias}" is the name of a model too.'
        if model in settings.aliases:
            yield f'aliases."{alias}" names "{model}", which is an alias itself.'
        elif settings.models and not is_callable(model, settings):
            yield f'aliases."{alias}" names "{model}", which is no model of the file.'


def _usual(settings: "Settings") -> Iterator[str]:
    """What stands in where nobody names a model."""
    if not settings.models:
        return
    default = settings.default_model
    if default and not is_callable(default, settings):
        yield f'DEFAULT_MODEL names "{default}", which is no model and no alias of the file.'
    for key, name in (("chat_model", settings.chats.chat_model), ("text_model", settings.chats.text_model)):
        if name and not is_callable(name, settings):
            yield f'chats.{key} names "{name}", which is no model and no alias of the file.'
