"""The TOML file."""

from pathlib import Path

import pytest

from llm_backend.settings import ModelSettings, Settings, SettingsRefused, Upstream, load_settings, load_with_origins
from tests.settings.loading import Load, refused

FILE = """
default_model = "chat"
cors_origins = ["https://a.example"]

[upstreams.local]
url = "http://10.0.0.1:8000/v1"
key_env = "VLLM_KEY"
allow_http = true
timeouts = { first_byte_seconds = 7 }

[models."llama-3.1/8b"]
upstream_model = "meta-llama"
context_length = 8192
input_microusd_per_million = 200_000

[aliases]
chat = "llama-3.1/8b"

[timeouts]
first_byte_seconds = 8
idle_seconds = 9

[limits]
stream_queue_bytes = 2048

[log]
prompts = true
"""


def test_a_file_says_all_that_the_environment_cannot(load_file: Load) -> None:
    settings = load_file(FILE, VLLM_KEY="canary-vllm")

    assert settings.upstream.key is not None
    assert settings.upstream.key.get_secret_value() == "canary-vllm"
    assert (settings.upstream.name, settings.upstream.url) == ("local", "http://10.0.0.1:8000/v1")
    assert settings.models["llama-3.1/8b"].input_microusd_per_million == 200_000
    assert settings.aliases == {"chat": "llama-3.1/8b"}
    timeouts = settings.upstream.timeouts
    assert (timeouts.first_byte_seconds, timeouts.idle_seconds, timeouts.connect_seconds) == (7, 9, 5)
    assert settings.timeouts.first_byte_seconds == 8
    assert settings.limits.stream_queue_bytes == 2048
    assert "prompts, with all that is private in them, ARE WRITTEN TO THE LOG" in settings.warnings[0]


def test_the_example_file_is_accepted_as_it_is_and_with_every_line_alive(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "llm-backend.example.toml"
    alive = "\n".join(line.removeprefix("#: ") for line in example.read_text().splitlines())
    (tmp_path / "alive.toml").write_text(alive)

    plain = load_settings({"LLM_BACKEND_CONFIG": str(example)}, tmp_path)
    full = load_with_origins({"LLM_BACKEND_CONFIG": "alive.toml", "VLLM_API_KEY": "canary-vllm"}, tmp_path)

    assert plain.upstream.name == "echo"
    assert plain.model_copy(update={"home": tmp_path}).timeouts == full.settings.timeouts
    named = {place[0] for place in full.origins}
    assert set(Settings.model_fields) - named == {
        *("openai_api_key", "openai_base_url", "upstream_allow_http", "upstream_responses"),
    }


def test_unknown_keys_are_all_refused_with_the_nearest_known_one(load_file: Load) -> None:
    problems = refused(
        load_file,
        "prot = 1\nstream_queue_byte = 2\n[timeouts]\nfirst_byte_second = 1\n"
        '[upstreams.a]\nurll = "x"\n[models.m]\nzzz = 1\n',
    )

    assert [problem.partition(": ")[2] for problem in problems] == [
        "unknown key prot; did you mean port?",
        "unknown key stream_queue_byte; did you mean limits.stream_queue_bytes?",
        "unknown key timeouts.first_byte_second; did you mean timeouts.first_byte_seconds?",
        "unknown key upstreams.a.urll; did you mean upstreams.a.url?",
        f"unknown key models.m.zzz; known here: {', '.join(sorted(ModelSettings.model_fields))}.",
    ]


def test_a_value_in_the_place_of_a_table_is_refused(load_file: Load) -> None:
    problems = refused(load_file, 'timeouts = 5\naliases = "x"\n[models]\nm = 1\n')

    assert [problem.partition(": ")[2] for problem in problems] == [
        "timeouts must be a table.",
        "aliases must be a table.",
        "models.m must be a table.",
    ]


def test_a_bad_value_of_the_file_is_told_by_its_key(load_file: Load) -> None:
    (problem,) = refused(load_file, "[timeouts]\nidle_seconds = -1\n")

    assert problem.startswith("timeouts.idle_seconds (file ")
    assert problem.endswith("must be greater than 0.")


def test_a_value_of_another_type_is_refused(load_file: Load) -> None:
    (problem,) = refused(load_file, "auth = 5\n")

    assert problem.startswith("auth (file ")


def test_an_upstream_without_a_url_is_refused(load_file: Load) -> None:
    (problem,) = refused(load_file, "[upstreams.local]\n")

    assert problem.startswith("upstreams.local.url (file ")


def test_several_upstreams_each_have_their_own_manner_and_timeouts(load_file: Load) -> None:
    settings = load_file(
        '[upstreams.a]\nurl = "https://a"\ntimeouts = { idle_seconds = 1 }\n'
        '[upstreams.b]\nurl = "https://api.openai.com/v1"\n[timeouts]\nconnect_seconds = 2\n'
    )

    first, second = settings.every_upstream
    assert settings.upstream == first
    assert [each.output_cap_field for each in (first, second)] == ["max_tokens", "max_completion_tokens"]
    assert [each.timeouts.idle_seconds for each in (first, second)] == [1, 120]
    assert [each.timeouts.connect_seconds for each in (first, second)] == [2, 2]


def test_plain_http_in_the_file_is_allowed_in_the_file(load_file: Load) -> None:
    (problem,) = refused(load_file, '[upstreams.a]\nurl = "http://a"\n')

    assert "upstreams.a.allow_http = true" in problem


def test_the_files_upstream_goes_before_the_environments(load_file: Load) -> None:
    settings = load_file('[upstreams.a]\nurl = "echo"\n', OPENAI_API_KEY="canary-1234")

    assert settings.upstream == Upstream("a", None, None, allow_http=False)
    assert "OPENAI_API_KEY is not used" in settings.warnings[0]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('key_env = "GONE"', "names the variable GONE, which is not set"),
        ('key = "k"\nkey_env = "HERE"', "more than one of key, key_env and key_file"),
        ('key = "k"\nkey_file = "f"', "are both set"),
        ('key_file = "gone"', "cannot be read"),
    ],
)
def test_an_upstreams_key_comes_from_one_place(load_file: Load, lines: str, reason: str) -> None:
    (problem,) = refused(load_file, f'[upstreams.a]\nurl = "https://a"\n{lines}\n', HERE="canary-1234")

    assert reason in problem


def test_an_upstreams_key_may_stand_in_a_file_beside_the_file(load_file: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary-1234\n")

    key = load_file('[upstreams.a]\nurl = "https://a"\nkey_file = "key"\n').upstream.key

    assert key is not None
    assert key.get_secret_value() == "canary-1234"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[models.m]\n[aliases]\na = "n"', "which is no model of the file"),
        ('[models.m]\n[models.n]\n[aliases]\nm = "n"', "is the name of a model too"),
        ('[aliases]\na = "b"\nb = "c"', "which is an alias itself"),
        ('[upstreams.a]\nurl = "echo"\n[models.m]\nupstream = "b"', 'models."m" names the upstream "b"'),
        ('default_model = "n"\n[models.m]', "DEFAULT_MODEL names"),
        ('[aliases]\n"a\\u0007" = "b"', "none of them a control"),
        ('[aliases]\na = "\\u0085"', "none of them a control"),
        (f'[models."{"m" * 257}"]', "1 to 256 characters"),
    ],
)
def test_models_and_aliases_must_agree(load_file: Load, text: str, reason: str) -> None:
    (problem,) = refused(load_file, text)

    assert reason in problem


def test_an_id_of_letters_newer_than_this_python_is_one(load_file: Load) -> None:
    assert list(load_file('[models."\u0378"]').models) == ["\u0378"]


def test_a_model_may_be_named_without_more_about_it(load_file: Load) -> None:
    assert list(load_file("[models.m]").models) == ["m"]


@pytest.mark.parametrize(("text", "reason"), [("= 1", "no valid TOML"), (None, "cannot be read")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    if text:
        (tmp_path / "llm.toml").write_text(text)

    with pytest.raises(SettingsRefused, match=reason):
        load_settings({"LLM_BACKEND_CONFIG": "llm.toml"}, tmp_path)
