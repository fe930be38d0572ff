"""The tables of the configuration file, each with the rules of its own fields."""

from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from llm_backend.model_ids import MODEL_ID_LIMIT

OPENAI_URL = "https://api.openai.com/v1"
ECHO = "echo"
"""Given as a URL, it stands for the built-in model that needs no network."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1024)]
Rate = Annotated[int, Field(ge=0, le=10**9)]
"""How many may come in a minute, or run at once; 0 shuts the door."""

CapField = Literal["max_tokens", "max_completion_tokens"]
OnDisconnect = Literal["cancel", "drain"]
Responses = Literal["native", "chat"]


class Table(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(Table):
    """How long an upstream may take."""

    connect_seconds: Seconds = 5
    first_byte_seconds: Seconds = 600
    stream_first_byte_seconds: Seconds = 120
    idle_seconds: Seconds = 120
    total_seconds: Seconds = 600
    stream_total_seconds: Seconds = 3600


class UpstreamTable(Table):
    """An entry of `[upstreams]`; `url` is None for the built-in echo."""

    url: str | None = Field(description="the base URL, with its /v1; or echo")
    key: SecretStr | None = None
    allow_http: bool = False
    """Plain HTTP beyond this machine is refused without it: the key and the prompts would travel readable."""
    output_cap_field: CapField | None = None
    """Where a chat's limit of output is written; None: as `cap_field_of` says."""
    on_disconnect: OnDisconnect = "cancel"
    """What becomes of a stream whose client left: it is ended, or read to its end."""
    responses: Responses | None = None
    """Whether it is asked for responses itself, or for chats in their place; None: as `responses_of` says."""
    timeouts: Timeouts | None = None
    """Its own, whole; None: those of all."""

    def settled(self, name: str, timeouts: Timeouts) -> "Upstream":
        """As it stands under that name, with `timeouts` where it has none of its own."""
        cap_field = self.output_cap_field or cap_field_of(self.url)
        own = self.timeouts or timeouts
        responses = self.responses or responses_of(self.url)
        return Upstream(name, self.url, self.key, self.allow_http, cap_field, self.on_disconnect, own, responses)

    @field_validator("url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        return None if url in {None, ECHO} else base_url(str(url))

    @field_validator("key")
    @classmethod
    def _key(cls, key: SecretStr | None) -> SecretStr | None:
        return key and header_value(key)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who answers, settled from all that was said of it. `url` is None for the built-in echo."""

    name: str
    """As it stands in usage records and logs."""
    url: str | None
    key: SecretStr | None
    allow_http: bool
    output_cap_field: CapField = "max_tokens"
    """Where a chat's limit of output is written."""
    on_disconnect: OnDisconnect = "cancel"
    """What becomes of a stream whose client left."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    responses: Responses = "native"
    """Whether it is asked for responses itself, or for chats in their place."""


class Limits(Table):
    """What one client may cost this process; the sizes of bodies stand in the contract, `spec/policy.yaml`."""

    max_concurrent_requests: int = Field(default=1000, ge=1)
    connections_per_ip: int = Field(default=512, ge=0)
    """0 lifts the limit, for a server behind a proxy that has its own."""
    header_seconds: Seconds = 10
    """Until the whole head of a request is here."""
    body_seconds: Seconds = 30
    """Without progress of a request's body."""
    stream_queue_bytes: Bytes = 256 * 1024
    stall_seconds: Seconds = 60
    """Without progress of a client that reads a stream."""
    keep_alive_seconds: Seconds = 15
    """Silence in a stream after which a comment is sent."""
    drain_seconds: Seconds = 20
    """What open streams get at shutdown."""
    key_requests_per_minute: Rate | None = None
    key_tokens_per_minute: Rate | None = None
    key_concurrent_requests: Rate | None = None
    """Of each key that has no such limit of its own; with AUTH=open everybody has one key."""
    replicas: int = Field(default=1, ge=1, le=1000)
    """How many servers share a limit where Redis does not count for all of them: each gets an equal part."""
    fail_closed: bool = False
    """Whether limited requests are refused while Redis is away, instead."""


class Budgets(Table):
    """What is reserved where the client does not say, and who is told of a budget that runs out."""

    default_tokens: int | None = Field(default=None, ge=0, le=2**53 - 1)
    """What a new account may use where nothing is said of it; None: without limit."""
    default_output_tokens: int = Field(default=16_384, ge=1, le=2**31)
    """The longest answer where neither the request nor the model says how long it may be."""
    soft_limit_percent: int = Field(default=75, ge=1, le=100)
    """Of a limit: from there on the account is warned."""
    webhook_url: str | None = None
    """Who is told, once in each period."""
    webhook_secret: SecretStr | None = None
    """Signs what is told."""

    @field_validator("webhook_url")
    @classmethod
    def _webhook(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError("must be an http:// or https:// URL without user and password")
        return url


class Prefixes(Table):
    """What stands before the messages of a chat whose model continues a text, where the chat does not say."""

    instruction: str = "My request: "
    user: str = "My request: "
    assistant: str = "Your response: "


class Chats(Table):
    """What holds below `/api/chats` where its clients do not say."""

    chat_model: str | None = Field(default=None, min_length=1, max_length=MODEL_ID_LIMIT)
    """None: gpt-3.5-turbo where the upstream lists it, else DEFAULT_MODEL, else the first listed that chats."""
    text_model: str | None = Field(default=None, min_length=1, max_length=MODEL_ID_LIMIT)
    """None: the same with gpt-3.5-turbo-instruct."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    prefixes: Prefixes = Prefixes()


class Relay(Table):
    """What is passed on to an upstream that keeps objects of its own."""

    upstream: str | None = None
    """Where objects are made that name no model; None: the first upstream."""
    unowned: bool = False
    """Whether an object that no account is known to have made may be named by every account: for one tenant."""
    unmetered: tuple[str, ...] = ()
    """Tags that are relayed although what they cost is not known here: for one tenant."""


class KeysTable(Table):
    """How keys are kept."""

    recoverable: bool = False
    """Whether the administrator can read them again; otherwise nobody can."""


class FrontendsTable(Table):
    """Chat interfaces whose keys are trusted to say for whom they ask."""

    jwt_secret: SecretStr | None = None
    """What they sign that with; None: it is believed unsigned."""

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and len(secret.get_secret_value().encode()) < 32:  # noqa: PLR2004 (the bytes of HS256's own digest)
            raise ValueError("must be 32 bytes or more")
        return secret


class ResponsesTable(Table):
    """How `/v1/responses` is answered."""

    check: bool = False
    """Whether each response and event is held against the document as it goes out, at some cost."""


class Log(Table):
    """What is written down besides the usual."""

    prompts: bool = False


def cap_field_of(url: str | None) -> CapField:
    """Where the upstream at `url` takes a chat's limit of output: OpenAI's reasoning models refuse the older name."""
    return "max_completion_tokens" if _is_within(url, ".api.openai.com") else "max_tokens"


def responses_of(url: str | None) -> Responses:
    """Whether the upstream at `url` answers responses, as OpenAI and the built-in echo do; most have chats only."""
    return "native" if url is None or _is_within(url, ".api.openai.com", ".openai.azure.com") else "chat"


def _is_within(url: str | None, *domains: str) -> bool:
    host = urlsplit(url or "").hostname or ""
    return f".{host}".endswith(domains)


def base_url(url: str) -> str:
    """`url` without its last slash. Raises ValueError where nothing can be asked below it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("must be an http:// or https:// URL, or echo")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be a URL without user, password, query and fragment")
    return url.rstrip("/")


def header_value(key: SecretStr) -> SecretStr:
    """`key` as it may stand in a header. Raises ValueError where it may not."""
    value = key.get_secret_value()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be printable ASCII without spaces")
    return key
