"""The names under which the environment has settings."""

VARIABLES = {
    "LLM_BACKEND_HOME": "home",
    "HOST": "host",
    "PORT": "port",
    "METRICS_PORT": "metrics_port",
    "WORKERS": "workers",
    "LOG_LEVEL": "log_level",
    "DOCS": "docs",
    "DIRECT_ROUTING": "direct_routing",
    "AUTH": "auth",
    "AUTH_OPEN_EVERYWHERE": "auth_open_everywhere",
    "ADMIN_TOKEN": "admin_token",
    "SECRET_KEY": "secret_key",
    "CORS_ORIGINS": "cors_origins",
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "OPENAI_API_KEY": "openai_api_key",
    "OPENAI_BASE_URL": "openai_base_url",
    "UPSTREAM_ALLOW_HTTP": "upstream_allow_http",
    "UPSTREAM_RESPONSES": "upstream_responses",
    "RESPONSES_CHECK": "responses.check",
    "DEFAULT_MODEL": "default_model",
    "TIKTOKEN_CACHE_DIR": "tokenizers",
    "WEBHOOK_URL": "budgets.webhook_url",
    "WEBHOOK_SECRET": "budgets.webhook_secret",
    "FRONTEND_JWT_SECRET": "frontends.jwt_secret",
}
"""The environment's names, by what they set."""

ALIASES = {
    "FLASK_RUN_PORT": "port",
    "GUNICORN_NUM_WORKERS": "workers",
    "GUNICORN_TIMEOUT": "timeouts.total_seconds",
    "MODEL_NAME": "default_model",
    "GPT_ENGINE": "default_model",
    "RATE_LIMIT": "limits.key_requests_per_minute",
    "PARROT_ADMIN_TOKEN": "admin_token",
    "ADMIN_KEY": "admin_token",
}
"""Names under which users of other systems have it set already; ours goes before, then the first of these."""

_AT_THE_TOP = ("ADMIN_TOKEN", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY")
FROM_FILES = (*_AT_THE_TOP, "WEBHOOK_SECRET", "FRONTEND_JWT_SECRET")
"""Variables (and keys of the file) that may be given as `…_FILE`, the path of a file that holds the value."""

CONFIG = "LLM_BACKEND_CONFIG"
