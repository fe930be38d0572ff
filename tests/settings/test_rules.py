"""What refuses the start, and what only warns."""

import pytest

from tests.settings.loading import POSTGRES, Load, refused


def test_plain_http_beyond_this_machine_needs_a_word(load: Load) -> None:
    (problem,) = refused(load, OPENAI_BASE_URL="http://ollama:11434/v1")

    assert "UPSTREAM_ALLOW_HTTP=yes" in problem
    assert load(OPENAI_BASE_URL="http://ollama:11434/v1", UPSTREAM_ALLOW_HTTP="yes").upstream.allow_http


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("PORT", "eighty", "must be a whole number"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("AUTH", "none", "'keys' or 'open'"),
        ("LOG_LEVEL", "chatty", "'DEBUG'"),
        ("DOCS", "perhaps", "must be on or off"),
        ("DATABASE_URL", "mysql://root:canary-1234@h/d", "must be sqlite:// or postgresql://"),
        ("DATABASE_URL", "postgresql://canary-1234@h:port/d", "cannot be read"),
        ("DATABASE_URL", "postgresql://[half", "cannot be read"),
        ("DATABASE_URL", "sqlite://", "needs a file"),
        ("REDIS_URL", "http://canary-1234", "must begin with redis://"),
        ("SECRET_KEY", "canary-1234", "32 bytes"),
        ("ADMIN_TOKEN", "canary-1234,canary-1234,canary-1234", "one token, or two"),
        ("OPENAI_API_KEY", "canary-1234\nx: y", "printable ASCII"),
        ("OPENAI_BASE_URL", "ftp://canary-1234", "http:// or https://"),
        ("OPENAI_BASE_URL", "https://canary-1234:x@host/v1", "without user"),
        ("OPENAI_BASE_URL", "https://[canary-1234/v1", "URL"),
        ("CORS_ORIGINS", "https://a.example/canary-1234", "origins such as"),
        ("GUNICORN_TIMEOUT", "long", "must be a number"),
        ("GUNICORN_TIMEOUT", "0", "greater than 0"),
    ],
)
def test_a_bad_value_is_told_in_one_line_without_it(load: Load, name: str, value: str, rule: str) -> None:
    (problem,) = refused(load, **{name: value})

    assert problem.startswith(f"{name}: ")
    assert rule in problem
    assert "canary" not in problem
    assert "\n" not in problem
    assert not problem.endswith("..")


def test_all_bad_values_are_told_at_once(load: Load) -> None:
    problems = refused(load, PORT="x", AUTH="y", WORKERS="z")

    assert [problem.partition(":")[0] for problem in problems] == ["PORT", "WORKERS", "AUTH"]


def test_open_mode_stays_on_this_machine(load: Load) -> None:
    (problem,) = refused(load, AUTH="open", HOST="0.0.0.0")  # noqa: S104 (it is what is refused)

    assert "AUTH_OPEN_EVERYWHERE=yes" in problem
    assert load(AUTH="open").cors_origins == ()
    assert load(AUTH="open", HOST="::1").auth == "open"


def test_open_mode_everywhere_warns(load: Load) -> None:
    settings = load(AUTH="open", HOST="0.0.0.0", AUTH_OPEN_EVERYWHERE="yes")  # noqa: S104 (it is what is warned of)

    assert any("AUTH_OPEN_EVERYWHERE" in line for line in settings.warnings)


def test_open_mode_lets_no_web_page_in(load: Load) -> None:
    assert "CORS_ORIGINS needs AUTH=keys" in refused(load, AUTH="open", CORS_ORIGINS="https://a.example")[0]


def test_origins_are_narrowed_or_shut(load: Load) -> None:
    assert load(CORS_ORIGINS="https://a.example, http://b:3000").cors_origins == ("https://a.example", "http://b:3000")
    assert load(CORS_ORIGINS="none").cors_origins == ()


def test_several_workers_need_postgresql(load: Load) -> None:
    assert "PostgreSQL" in refused(load, WORKERS="2")[0]
    assert load(WORKERS="2", **POSTGRES).workers == 2


def test_postgresql_needs_a_secret_key(load: Load) -> None:
    assert "SECRET_KEY is needed" in refused(load, DATABASE_URL="postgresql:///llm")[0]


def test_a_short_admin_token_is_for_this_machine_only(load: Load) -> None:
    everywhere = {"HOST": "0.0.0.0"}  # noqa: S104 (a server in a container)

    assert "ADMIN_TOKEN must be 16 bytes" in refused(load, ADMIN_TOKEN="t" * 15, **everywhere)[0]
    assert load(ADMIN_TOKEN="t").admin_tokens
    assert load(ADMIN_TOKEN="t" * 16, **everywhere).warnings == ("ADMIN_TOKEN is shorter than 32 bytes.",)
    assert load(ADMIN_TOKEN="t" * 32, **everywhere).warnings == ()


def test_one_admin_token_may_replace_another(load: Load) -> None:
    tokens = load(ADMIN_TOKEN=f"{'o' * 32}, {'n' * 32}").admin_tokens

    assert [token.get_secret_value() for token in tokens] == ["o" * 32, "n" * 32]


def test_metrics_on_a_port_of_their_own_tell_of_one_worker(load: Load) -> None:
    assert "METRICS_PORT needs WORKERS=1" in refused(load, METRICS_PORT="9090", WORKERS="2", **POSTGRES)[0]
    assert "another port" in refused(load, METRICS_PORT="8000")[0]
    assert load(METRICS_PORT="9090").metrics_port == 9090
