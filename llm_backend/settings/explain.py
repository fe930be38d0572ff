"""Each effective value, secrets masked, and where it came from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from llm_backend.settings import Loaded
from llm_backend.settings.sources import Origin, Place

MASK = "********"
_MADE = "made at the first start, beside the SQLite file"
_PASSWORD = re.compile(r"(?i)(://[^/?#@]*?:)[^@]*@|([?&](?:ssl)?password=)[^&]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One value: its name as the file writes it, fit to be shown."""

    name: str
    value: Any
    origin: Origin
    is_derived: bool = False
    """Whether it cannot be set itself: `origin` is what decided it."""
    note: str = ""
    """What an unset value comes to."""


def explain(loaded: Loaded) -> list[Row]:
    """Every setting in the model's order, then what was settled from several of them."""
    rows = [_row(place, value, loaded) for place, value in _leaves(loaded.settings, ())]
    return [*rows, *_settled(loaded)]


def _row(place: Place, value: Any, loaded: Loaded) -> Row:
    note = _MADE if place == ("secret_key",) and value is None else ""
    return Row(_name(place), _shown(value), _origin(place, loaded), note=note)


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """The values below `value`; a table's entries that nobody set and that have no value are left out."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*place, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*place, name))
    elif value is not None or len(place) == 1:
        yield place, value


def _settled(loaded: Loaded) -> Iterator[Row]:
    """Each upstream, with the setting that decided it."""
    settings = loaded.settings
    for upstream in settings.every_upstream:
        above: Place = ("upstreams", upstream.name)
        deciding = [place for place in loaded.origins if place[:2] == above]
        if not settings.upstreams:
            deciding = [("openai_base_url",), ("openai_api_key",)]
        origin = next((loaded.origins[place] for place in deciding if place in loaded.origins), Origin("default"))
        key_place = (*above, "key") if settings.upstreams else ("openai_api_key",)
        told = _name(("upstream", upstream.name))
        yield Row(f"{told}.url", upstream.url or "built in", origin, is_derived=True)
        cap_origin = loaded.origins.get((*above, "output_cap_field"), origin)
        yield Row(f"{told}.output_cap_field", upstream.output_cap_field, cap_origin, is_derived=True)
        yield Row(f"{told}.key", MASK if upstream.key else None, _origin(key_place, loaded), is_derived=True)
    yield Row("admin_tokens", len(settings.admin_tokens), _origin(("admin_token",), loaded), is_derived=True)


def _origin(place: Place, loaded: Loaded) -> Origin:
    return loaded.origins.get(place, Origin("default"))


def _name(place: Place) -> str:
    """`place` as TOML would write it."""
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"' for key in place)


def _shown(value: Any) -> Any:
    """`value` as JSON takes it; of a secret that is a URL, all but its password."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if "://" not in secret:
            return MASK
        return _PASSWORD.sub(lambda found: f"{found[1]}{MASK}@" if found[1] else f"{found[2]}{MASK}", secret)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return [_shown(inner) for inner in value] if isinstance(value, tuple) else value
