import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from llm_backend.settings import load_settings
from tests.deployment.dockerfile import environment, stages
from tests.deployment.facts import KNOWN_VARIABLES, PORT, ROOT, SECRETS, documents, is_command

COMPOSE = documents("compose.yaml")[0]
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "llm-backend")
IMAGE_ENVIRONMENT = environment(stages((ROOT / "Dockerfile").read_text())[-1])

TEXTS = {"type": "array", "items": {"type": "string"}}
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
HEALTHCHECK = {
    "type": "object",
    "properties": {
        "test": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "interval": DURATION,
        "timeout": DURATION,
        "start_period": DURATION,
        "retries": {"type": "integer"},
        "disable": {"type": "boolean"},
    },
    "additionalProperties": False,
}
CONDITION = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
SERVICE = {
    "type": "object",
    "properties": {
        "image": {"type": "string"},
        "build": {"type": "string"},
        "command": TEXTS,
        "user": {"type": "string"},
        "profiles": TEXTS,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": ":[0-9]+$"}},
        "volumes": TEXTS,
        "tmpfs": TEXTS,
        "read_only": {"type": "boolean"},
        "cap_drop": TEXTS,
        "security_opt": TEXTS,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": DURATION,
        "healthcheck": HEALTHCHECK,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"condition": CONDITION},
                "required": ["condition"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["image", "cap_drop", "security_opt"],
    "additionalProperties": False,
}
STRUCTURE = jsonschema_rs.validator_for(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
            "services": {"type": "object", "additionalProperties": SERVICE},
            "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        },
        "patternProperties": {"^x-": {}},
        "required": ["services"],
        "additionalProperties": False,
    }
)
"""The parts of Compose's structure that the file uses; another key is a slip, or belongs here."""


def filled(text: str, given: dict[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?reason}` as Compose does."""

    def value(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        if given.get(name):
            return given[name]
        if operator == ":?":
            raise KeyError(name)
        return str(rest or "")

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def settings_environment(service: str, **given: str) -> dict[str, str]:
    variables = SERVICES[service]["environment"]
    return IMAGE_ENVIRONMENT | {name: filled(text, SECRETS | given) for name, text in variables.items()}


def test_the_structure_is_composes() -> None:
    assert [str(error) for error in STRUCTURE.iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    ("key", "value"), [("port", ["1:1"]), ("restart", True), ("command", 5), ("healthcheck", {"test": ["CMD"]})]
)
def test_a_slip_in_the_structure_is_noticed(key: str, value: object) -> None:
    broken = deepcopy(COMPOSE)
    broken["services"]["llm-backend"][key] = value

    assert not STRUCTURE.is_valid(broken)


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_a_privilege_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") is (True if name != "chatbot-ui" else None)
    assert not service.get("user", "1").startswith("0")


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_services_that_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy" and other not in OURS:
            assert "test" in SERVICES[other]["healthcheck"]
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"
        assert not SERVICES[other].get("profiles")


def test_the_schema_is_made_before_the_server_starts() -> None:
    assert SERVICES["llm-backend"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert is_command(SERVICES["migrate"]["command"])
    assert "HEALTHCHECK" in {step.keyword for step in stages((ROOT / "Dockerfile").read_text())[-1]}


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_good_as_they_stand(name: str, tmp_path: Path) -> None:
    settings = load_settings(settings_environment(name), tmp_path)

    assert set(SERVICES[name]["environment"]) <= KNOWN_VARIABLES
    assert (settings.upstream.name, settings.auth, settings.warnings) == ("openai", "keys", ())
    assert "@postgres:5432/llm" in settings.database_url.get_secret_value()


def test_a_local_engine_is_an_upstream(tmp_path: Path) -> None:
    given = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "http://ollama:11434/v1", "UPSTREAM_ALLOW_HTTP": "yes"}

    settings = load_settings(settings_environment("llm-backend", **given), tmp_path)

    assert settings.upstream.url == "http://ollama:11434/v1"


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "SECRET_KEY"])
def test_a_missing_secret_stops_compose_itself(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        settings_environment("llm-backend", **{name: ""})


def test_the_password_is_the_same_on_both_sides() -> None:
    database = SERVICES["postgres"]["environment"]
    url = settings_environment("llm-backend")["DATABASE_URL"]

    password = filled(database["POSTGRES_PASSWORD"], SECRETS)
    assert url == f"postgresql://{database['POSTGRES_USER']}:{password}@postgres:5432/{database['POSTGRES_DB']}"


def test_ports_and_hosts_agree_with_the_image() -> None:
    assert filled(SERVICES["llm-backend"]["ports"][0], {}) == f"127.0.0.1:8000:{PORT}"
    assert SERVICES["chatbot-ui"]["environment"]["OPENAI_API_HOST"] == f"http://llm-backend:{PORT}"
    assert IMAGE_ENVIRONMENT["PORT"] == str(PORT)


def test_every_volume_is_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])


def test_optional_services_stay_behind_their_profiles() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items() if "profiles" in service}

    assert profiles == {"redis": ["redis"], "chatbot-ui": ["ui"]}
    assert "CHATBOT_UI_IMAGE" in SERVICES["chatbot-ui"]["image"]
