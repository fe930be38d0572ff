import base64
from pathlib import Path
from typing import Any

import pytest
from kubernetes_validate.utils import latest_version, validate

from llm_backend.settings import Settings, load_settings
from tests.deployment.dockerfile import environment, stages
from tests.deployment.facts import IMAGE, KNOWN_VARIABLES, ROOT, walk
from tests.deployment.test_manifests import variables
from tests.deployment.tilt import Failed, Told, up

UI = "llm-example/chatbot-ui"
KEY = {"OPENAI_KEY_BASE64": base64.b64encode(b"a-key\n").decode()}
SIBLING = {"../chatbot-ui"}


def secrets(told: Told) -> dict[str, str]:
    """The Secret as containers see it."""
    secret = told.named("Secret", "llm-backend")
    decoded = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    plain: dict[str, str] = secret["stringData"]
    return decoded | plain


def settings_of(told: Told, folder: Path) -> Settings:
    """What the server of this run would read."""
    container = told.named("Deployment", "llm-backend")["spec"]["template"]["spec"]["containers"][0]
    image = environment(stages((ROOT / "Dockerfile").read_text())[-1])
    seen = variables(container, secrets(told))
    assert set(seen) - KNOWN_VARIABLES == {"POSTGRES_PASSWORD"}
    return load_settings(image | seen, folder)


def images(told: Told) -> set[str]:
    return {found["image"] for found in walk(told.objects) if "image" in found}


def test_one_command_brings_up_the_server_its_database_and_the_interface() -> None:
    told = up(KEY, SIBLING)

    kinds = [(one["kind"], one["metadata"]["name"]) for one in told.objects]
    assert sorted(kinds) == [
        ("Deployment", "chatbot-ui"),
        ("Deployment", "llm-backend"),
        ("Namespace", "llm-example"),
        ("Secret", "llm-backend"),
        ("Service", "chatbot-ui"),
        ("Service", "llm-backend"),
        ("Service", "postgres"),
        ("StatefulSet", "postgres"),
    ]
    assert told.builds == {IMAGE: ".", UI: "../chatbot-ui"}
    assert told.warnings == []


def test_everything_is_in_the_one_namespace() -> None:
    objects = up(KEY, SIBLING).objects

    spaces = {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"}
    assert spaces == {"llm-example"}
    assert objects[0]["kind"] == "Namespace"


def test_every_object_fits_the_schema_of_kubernetes() -> None:
    for one in up(KEY, SIBLING).objects:
        validate(one, latest_version(), strict=True)


def test_the_ports_are_forwarded_and_what_waits_waits_for_what_there_is() -> None:
    told = up(KEY, SIBLING)

    workloads = {one["metadata"]["name"] for one in told.objects if one["kind"] in {"Deployment", "StatefulSet"}}
    assert {name for one in told.resources.values() for name in one["resource_deps"]} <= workloads
    assert told.resources == {
        "llm-backend": {"port_forwards": ["5000:5000"], "resource_deps": ["postgres"]},
        "chatbot-ui": {"port_forwards": ["3000:3000"], "resource_deps": ["llm-backend"]},
    }


def test_the_key_reaches_the_server(tmp_path: Path) -> None:
    upstream = settings_of(up(KEY, SIBLING), tmp_path).upstream

    assert upstream.key is not None
    assert (upstream.name, upstream.key.get_secret_value()) == ("openai", "a-key")


def test_without_a_key_echo_answers_and_tilt_says_so(tmp_path: Path) -> None:
    told = up({}, SIBLING)

    assert settings_of(told, tmp_path).upstream.name == "echo"
    assert told.warnings == ["OPENAI_KEY_BASE64 is not set: the built-in echo model answers."]


def test_a_key_wrapped_by_its_encoder_is_taken() -> None:
    wrapped = base64.encodebytes(b"k" * 160).decode()

    assert secrets(up({"OPENAI_KEY_BASE64": wrapped}, SIBLING))["OPENAI_API_KEY"] == "k" * 160


@pytest.mark.parametrize("key", ["sk-plain-1234567", "abc", "ab=c", "{x}}"])
def test_a_key_that_is_no_base64_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(Failed, match="OPENAI_KEY_BASE64 is no base64") as caught:
        up({"OPENAI_KEY_BASE64": key}, SIBLING)

    assert key not in str(caught.value).partition("error: ")[2]


def test_the_interfaces_dummy_key_is_taken(tmp_path: Path) -> None:
    settings = settings_of(up(KEY, SIBLING), tmp_path)

    assert (settings.auth, settings.auth_open_everywhere, settings.log_level) == ("open", True, "DEBUG")
    assert any("AUTH=open" in warning for warning in settings.warnings)


def test_the_migration_has_the_servers_settings() -> None:
    spec: dict[str, Any] = up(KEY, SIBLING).named("Deployment", "llm-backend")["spec"]["template"]["spec"]

    assert spec["initContainers"][0]["env"] == spec["containers"][0]["env"]


def test_another_upstream_and_level_may_be_named(tmp_path: Path) -> None:
    environ = {"OPENAI_BASE_URL": "http://vllm:8000/v1", "LOG_LEVEL": "warning"}

    settings = settings_of(up(environ, SIBLING), tmp_path)

    assert (settings.upstream.url, settings.log_level) == ("http://vllm:8000/v1", "WARNING")


def test_a_ready_image_of_the_interface_is_not_built() -> None:
    told = up(KEY | {"CHATBOT_UI_IMAGE": "registry.example/ui:1"}, SIBLING)

    assert told.builds == {IMAGE: "."}
    assert "registry.example/ui:1" in images(told)
    assert UI not in images(told)


def test_the_interface_is_built_from_a_folder_that_is_named() -> None:
    assert up(KEY | {"CHATBOT_UI_DIR": "/src/ui"}, {"/src/ui"}).builds[UI] == "/src/ui"


def test_a_named_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(Failed, match="CHATBOT_UI_DIR names /src/ui, which does not exist"):
        up(KEY | {"CHATBOT_UI_DIR": "/src/ui"}, SIBLING)


def test_without_an_interface_the_server_comes_up_alone_and_tilt_says_so() -> None:
    told = up(KEY, set())

    assert set(told.resources) == {"llm-backend"}
    assert told.builds == {IMAGE: "."}
    assert told.warnings[0].startswith("No chatbot-ui")


def test_every_image_that_is_built_is_used() -> None:
    told = up(KEY, SIBLING)

    assert set(told.builds) <= images(told)
    assert images(told) - set(told.builds) == {"postgres:17-bookworm"}


def test_a_builtin_that_tilt_does_not_have_is_noticed() -> None:
    with pytest.raises(Failed, match="k8s_yamll"):
        up(KEY, SIBLING, "k8s_yamll('x')")
