"""What a deployment may set: one frozen value, secrets masked, every rule beside the field it is about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from llm_backend import database_urls
from llm_backend.model_ids import MODEL_ID_LIMIT
from llm_backend.settings import checks
from llm_backend.settings.models import ModelSettings
from llm_backend.settings.tables import (
    ECHO,
    OPENAI_URL,
    Budgets,
    Chats,
    FrontendsTable,
    KeysTable,
    Limits,
    Log,
    Relay,
    Responses,
    ResponsesTable,
    Timeouts,
    Upstream,
    UpstreamTable,
    base_url,
    cap_field_of,
    header_value,
    responses_of,
)


class Settings(BaseSettings):
    """Everything set, by whatever source; `load_settings` is the only maker."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    home: Path
    """Where files of this server's own are kept: LLM_BACKEND_HOME, else the working folder."""
    tokenizers: Path = Field(default_factory=lambda data: data["home"] / "tokenizers")
    """Where the tables of tokenizers lie, which `llm-backend tokens prefetch` fetches."""
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """Where `/metrics` is served without a token, for a network that only the monitoring reaches; None: nowhere."""
    workers: int = Field(default=1, ge=1, le=64)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    docs: bool = True
    direct_routing: bool = True
    """Whether requests go straight to their operation, not through Connexion's layers: the answers are the same."""
    auth: Literal["keys", "open"] = "keys"
    auth_open_everywhere: bool = False
    admin_token: SecretStr | None = None
    """One token, or two with a comma between them while one replaces the other."""
    secret_key: SecretStr | None = None
    cors_origins: tuple[str, ...] = Field(default_factory=lambda data: ("*",) if data.get("auth") == "keys" else ())
    database_url: SecretStr = Field(
        default_factory=lambda data: SecretStr(f"sqlite:///{data['home'] / 'llm-backend.db'}")
    )
    redis_url: SecretStr | None = None
    """Where rate limits are counted for all replicas together; None: each process counts for itself."""
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    upstream_allow_http: bool = False
    upstream_responses: Responses | None = None
    """As `responses` of `[upstreams]`, for the one that OPENAI_BASE_URL names."""
    default_model: str | None = Field(default=None, min_length=1, max_length=MODEL_ID_LIMIT)
    upstreams: Mapping[str, UpstreamTable] = Field(default_factory=dict)
    models: Mapping[str, ModelSettings] = Field(default_factory=dict)
    aliases: Mapping[str, str] = Field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    keys: KeysTable = KeysTable()
    frontends: FrontendsTable = FrontendsTable()
    chats: Chats = Chats()
    relay: Relay = Relay()
    responses: ResponsesTable = ResponsesTable()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings names these arguments)
        init_settings: PydanticBaseSettingsSource,
        *_sources: PydanticBaseSettingsSource,
        **_named_sources: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `sources` has read, and nothing else: so that the origin of every value is known."""
        return (init_settings,)

    @field_validator("log_level", "auth", mode="before")
    @classmethod
    def _case(cls, value: Any, info: Any) -> Any:
        if not isinstance(value, str):
            return value
        return value.upper() if info.field_name == "log_level" else value.lower()

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return () if value == "none" else tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("cors_origins")
    @classmethod
    def _origin(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if origin != "*" and (
                parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError("must be *, none, or origins such as https://chat.example with commas between them")
        return origins

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key and len(key.get_secret_value().encode()) < 32:  # noqa: PLR2004 (the bytes of a 256-bit secret)
            raise ValueError("must be 32 bytes or more")
        return key

    @field_validator("admin_token")
    @classmethod
    def _two_tokens(cls, tokens: SecretStr | None) -> SecretStr | None:
        if tokens and len(tokens.get_secret_value().split(",")) > 2:  # noqa: PLR2004 (an old one and a new one)
            raise ValueError("must be one token, or two with a comma between them")
        return tokens

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: SecretStr) -> SecretStr:
        database_urls.normalise(url.get_secret_value())
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return url

    @field_validator("openai_base_url")
    @classmethod
    def _openai_url(cls, url: str | None) -> str | None:
        return url if url in {None, ECHO} else base_url(str(url))

    @field_validator("openai_api_key")
    @classmethod
    def _openai_key(cls, key: SecretStr | None) -> SecretStr | None:
        return key and header_value(key)

    @property
    def upstream(self) -> Upstream:
        """The one that is asked where nothing else says who."""
        return self.every_upstream[0]

    @property
    def every_upstream(self) -> tuple[Upstream, ...]:
        """The file's; else OpenAI or OPENAI_BASE_URL; else the built-in echo. At least one."""
        if self.upstreams:
            return tuple(table.settled(name, self.timeouts) for name, table in self.upstreams.items())
        url = self.openai_base_url or (OPENAI_URL if self.openai_api_key else ECHO)
        if url == ECHO:
            told = self.upstream_responses or responses_of(None)
            return (Upstream(ECHO, None, None, allow_http=False, timeouts=self.timeouts, responses=told),)
        told = self.upstream_responses or responses_of(url)
        http, field = self.upstream_allow_http, cap_field_of(url)
        return (Upstream("openai", url, self.openai_api_key, http, field, timeouts=self.timeouts, responses=told),)

    @property
    def defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """What stands in for fields that a request leaves out, by the model that has such."""
        return {name: model.defaults for name, model in self.models.items() if model.defaults}

    @property
    def admin_tokens(self) -> tuple[SecretStr, ...]:
        """Every token that opens the admin operations; none: they are closed."""
        if self.admin_token is None:
            return ()
        parts = (part.strip() for part in self.admin_token.get_secret_value().split(","))
        return tuple(SecretStr(part) for part in parts if part)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should read at each start."""
        return tuple(checks.warnings(self))

    @property
    def is_sqlite(self) -> bool:
        return database_urls.is_sqlite(self.database_url.get_secret_value())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the log to redact."""
        single = (self.openai_api_key, self.secret_key, self.budgets.webhook_secret, self.frontends.jwt_secret)
        there = (upstream.key for upstream in self.every_upstream)
        every = [key.get_secret_value() for key in (*single, *there, *self.admin_tokens) if key]
        redis = self.redis_url.get_secret_value() if self.redis_url else ""
        passwords = (database_urls.password(url) for url in (self.database_url.get_secret_value(), redis))
        return (*every, *(found for found in passwords if found))
