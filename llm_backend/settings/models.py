"""The tables of models in the configuration file, each with the rules of its own fields."""

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from llm_backend.model_ids import MODEL_ID_LIMIT
from llm_backend.settings.tables import CapField, Rate, Table

Name = Annotated[str, Field(min_length=1, max_length=MODEL_ID_LIMIT)]
Price = Annotated[int, Field(ge=0, le=10**12)]
"""Micro-dollars per million tokens, up to a dollar a token."""
Tokens = Annotated[int, Field(ge=0, le=2**31)]

NO_DEFAULTS = frozenset(
    {
        *("model", "messages", "prompt", "input", "file", "image", "mask", "stream", "stream_options"),
        *("user", "safety_identifier", "metadata", "store", "previous_response_id", "conversation"),
        *("api_base", "base_url", "api_key", "user_config", "custom_llm_provider", "extra_headers", "extra_body"),
        "mock_response",
    }
)
"""What is the client's own to say, or nobody's: the last eight configure an upstream that obeys them."""


class PriceTable(Table):
    """A model's price in micro-dollars per million tokens; None: as input, or as output. What has units adds theirs."""

    input_microusd_per_million: Price | None = None
    cached_input_microusd_per_million: Price | None = None
    audio_input_microusd_per_million: Price | None = None
    image_input_microusd_per_million: Price | None = None
    output_microusd_per_million: Price | None = None
    reasoning_microusd_per_million: Price | None = None
    audio_output_microusd_per_million: Price | None = None
    images_microusd_per_million: Price | None = None
    """Pictures made; None: nothing beside their tokens, as of the next two."""
    seconds_microusd_per_million: Price | None = None
    """Of sound heard."""
    characters_microusd_per_million: Price | None = None
    """Of text spoken."""

    @property
    def rates(self) -> dict[str, int]:
        """What is set, by its kind: `input_microusd` and so on."""
        told = {name.removesuffix("_per_million"): getattr(self, name) for name in PriceTable.model_fields}
        return {kind: rate for kind, rate in told.items() if rate is not None}


class DatedPriceTable(PriceTable):
    """A price that holds from a day on (UTC)."""

    starts: date = Field(alias="from")


class TargetTable(Table):
    """One place of several where a model is served."""

    name: str | None = None
    """The upstream's; None: the first of `[upstreams]`."""
    model: Name | None = None
    """What that calls it; None: the same."""
    weight: int = Field(default=1, ge=1, le=1000)


class ModelSettings(PriceTable):
    """What is known of one model; its own prices hold until the first of `prices` does."""

    upstream_model: Name | None = None
    """What the upstream calls it; None: the same."""
    upstream: str | None = None
    """Who answers; None: the first of `[upstreams]`."""
    upstreams: tuple[TargetTable, ...] = ()
    """The same of several, between which each request chooses."""
    output_cap_field: CapField | None = None
    """Where its limit of output is written in a chat; None: where its upstream takes it."""
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of a request that stand in where the client leaves them out."""
    fallback: tuple[Name, ...] = ()
    """Models that are asked, in this order, where this one fails."""
    fallback_on: tuple[Literal["context", "content"], ...] = ()
    """Whether refusals count as such a failure: of a prompt that is too long, of what it is about."""
    shutdown_date: date | None = None
    """The day (UTC) from which its upstream promises nothing any more."""
    successor: Name | None = None
    """What it is replaced by then."""
    context_length: int | None = Field(default=None, gt=0)
    max_output_tokens: int | None = Field(default=None, gt=0)
    image_tokens: Tokens = 4_000
    """The most that one image counts: OpenAI's models but gpt-4o-mini, Claude and Gemini stay below."""
    made_image_tokens: Tokens = 6_240
    """The most that one image counts which it makes: what OpenAI says of gpt-image-1's finest."""
    audio_tokens_per_minute: Tokens = 2_000
    """OpenAI counts 600 of what it hears, Gemini 1,920."""
    page_tokens: Tokens = 5_000
    """The most that a page of a file counts, which is read as a text and as an image."""
    requests_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    concurrent_requests: Rate | None = None
    """Of everybody together."""
    prices: tuple[DatedPriceTable, ...] = ()

    @field_validator("prices")
    @classmethod
    def _dates(cls, prices: tuple[DatedPriceTable, ...]) -> tuple[DatedPriceTable, ...]:
        if len({price.starts for price in prices}) < len(prices):
            raise ValueError("must not have two prices from the same day")
        return prices

    @field_validator("defaults")
    @classmethod
    def _of_a_request(cls, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        if taken := sorted(NO_DEFAULTS & defaults.keys()):
            raise ValueError(f"must not set {', '.join(taken)}")
        if not _is_json(dict(defaults)):
            raise ValueError("must be JSON: dates and numbers without an end are none")
        return defaults

    @property
    def targets(self) -> tuple["TargetTable", ...]:
        """Where it is served; at least one place."""
        return self.upstreams or (TargetTable(name=self.upstream, model=self.upstream_model),)


def _is_json(value: Any) -> bool:
    """Whether JSON can say `value`: TOML knows dates too, and numbers without an end."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))
