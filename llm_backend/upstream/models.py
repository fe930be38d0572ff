"""What is known of a model, by configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from llm_backend.errors import Json

WILD = "*"
"""At the end of a configured name: every name that begins so."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place where a model is served."""

    upstream: str | None = None
    """None: the upstream that is asked where nothing else says who."""
    name: str | None = None
    """What it is called there; None: the same."""
    weight: int = 1
    """Of two places the one with the double weight gets twice the requests."""


@dataclass(frozen=True, slots=True)
class Sunset:
    """When a model ends, and what comes after it."""

    day: date
    """From its first moment (UTC) on nothing is promised any more."""
    successor: str | None = None

    @property
    def view(self) -> dict[str, Json]:
        """As a model's entry in the list says it."""
        told: dict[str, Json] = {"deprecated": True, "shutdown_date": self.day.isoformat()}
        return told if self.successor is None else told | {"successor": self.successor}


@dataclass(frozen=True, slots=True)
class Model:
    """One configured model, or all those that a wildcard stands for. What is not known of it is None."""

    name: str
    targets: tuple[Target, ...] = (Target(),)
    """At least one."""
    context_length: int | None = None
    max_output_tokens: int | None = None
    image_tokens: int | None = None
    """The most that one image counts."""
    made_image_tokens: int | None = None
    audio_tokens_per_minute: int | None = None
    page_tokens: int | None = None
    output_cap_field: str | None = None
    """Where it takes a chat's limit of output; None: as its upstream does."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    """Fields of a request that stand in where the client leaves them out."""
    fallback: tuple[str, ...] = ()
    """The models that are asked where this one fails, in this order."""
    fallback_on: frozenset[str] = frozenset()
    """Which refusals count as such a failure too: `context`, `content`."""
    sunset: Sunset | None = None
    entry: str = ""
    """The name under which it is configured, where that is a wildcard."""

    @property
    def configured_name(self) -> str:
        """Whose price and limits hold for it."""
        return self.entry or self.name

    @property
    def is_wild(self) -> bool:
        return self.name.endswith(WILD)

    def matches(self, name: str) -> bool:
        """Whether it is a wildcard that stands for `name`."""
        return self.is_wild and name.startswith(self.name[: -len(WILD)])

    def called(self, name: str) -> "Model":
        """The one of that name, of those that it stands for."""
        return replace(self, name=name, entry=self.name)

    def view(self, shown: Mapping[str, Json]) -> Json:
        """Show it as OpenAI's `Model`: `shown` is what is known otherwise, its sizes and end are added."""
        sizes = {"context_length": self.context_length, "max_output_tokens": self.max_output_tokens}
        known = {name: size for name, size in sizes.items() if size is not None}
        return {"id": self.name, **shown, **known, **(self.sunset.view if self.sunset else {})}
