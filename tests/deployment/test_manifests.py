import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from kubernetes_validate.utils import ValidationError, latest_version, validate

from llm_backend.settings import load_settings
from tests.deployment.dockerfile import environment, stages
from tests.deployment.facts import (
    IMAGE,
    KNOWN_VARIABLES,
    PORT,
    ROOT,
    SECRETS,
    USER,
    documents,
    is_command,
    served_paths,
    version,
    walk,
)

FILES = ("llm-backend.yaml", "postgres.yaml", "chatbot-ui.yaml")
OBJECTS = [(file, document) for file in FILES for document in documents(f"k8s/{file}")]
NAMES = [f"{document['kind']}/{document['metadata']['name']}" for _, document in OBJECTS]
DOCUMENTS = dict(zip(NAMES, (document for _, document in OBJECTS), strict=True))
WORKLOADS = [name for name in NAMES if not name.startswith("Service/")]
KUBERNETES = ("1.29", latest_version())
KUSTOMIZATION = documents("k8s/kustomization.yaml")[0]
IMAGE_ENVIRONMENT = environment(stages((ROOT / "Dockerfile").read_text())[-1])


def pod(name: str) -> dict[str, Any]:
    template: dict[str, Any] = DOCUMENTS[name]["spec"]["template"]
    return template


def containers(name: str) -> list[dict[str, Any]]:
    spec = pod(name)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def ports(name: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for one in containers(name) for port in one.get("ports", [])}


def variables(container: dict[str, Any], secrets: dict[str, str]) -> dict[str, str]:
    """What the container sees: references to secrets resolved, then `$(NAME)` of the variables before."""
    seen: dict[str, str] = {}
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        value = secrets[reference["key"]] if reference else variable["value"]
        seen[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda found: seen.get(found[1], found[0]), value)
    return seen


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name", NAMES)
def test_every_object_fits_the_schema_of_kubernetes(name: str, kubernetes: str) -> None:
    validate(DOCUMENTS[name], kubernetes, strict=True)


def test_a_slip_does_not_fit_the_schema() -> None:
    broken = deepcopy(DOCUMENTS["Deployment/llm-backend"])
    broken["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}

    with pytest.raises(ValidationError):
        validate(broken, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("Service/")])
def test_every_service_finds_its_pods_and_their_port(name: str) -> None:
    spec = DOCUMENTS[name]["spec"]
    found = [
        workload for workload in WORKLOADS if spec["selector"].items() <= pod(workload)["metadata"]["labels"].items()
    ]

    (workload,) = found
    assert DOCUMENTS[workload]["spec"]["selector"]["matchLabels"] == spec["selector"]
    assert {port["targetPort"] for port in spec["ports"]} <= set(ports(workload))


def test_the_ports_are_the_known_ones() -> None:
    service = {name: DOCUMENTS[name]["spec"]["ports"][0]["port"] for name in NAMES if name.startswith("Service/")}

    assert service == {"Service/llm-backend": 8080, "Service/postgres": 5432, "Service/chatbot-ui": 80}
    assert ports("Deployment/llm-backend") == {"http": PORT}
    assert ports("Deployment/chatbot-ui") == {"http": 3000}
    assert IMAGE_ENVIRONMENT["PORT"] == str(PORT)


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_container_has_a_privilege_it_does_not_need(name: str) -> None:
    spec = pod(name)["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(name):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} == set(container["resources"])
        if name != "Deployment/chatbot-ui":  # an image of somebody else's, which needs root
            assert security["readOnlyRootFilesystem"] is True
            assert spec["securityContext"]["runAsNonRoot"] is True


def test_the_server_runs_as_the_images_user() -> None:
    security = pod("Deployment/llm-backend")["spec"]["securityContext"]

    assert {security["runAsUser"], security["runAsGroup"], security["fsGroup"]} == {USER}
    assert f"USER {USER}:{USER}" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_mount_has_its_volume_and_every_volume_its_mount(name: str) -> None:
    claims = DOCUMENTS[name]["spec"].get("volumeClaimTemplates", [])
    volumes = {volume["name"] for volume in pod(name)["spec"].get("volumes", [])}
    volumes |= {claim["metadata"]["name"] for claim in claims}

    mounted = {mount["name"] for container in containers(name) for mount in container.get("volumeMounts", [])}
    assert mounted == volumes


def test_probes_ask_what_is_served_and_only_readiness_asks_for_the_parts() -> None:
    (server,) = pod("Deployment/llm-backend")["spec"]["containers"]
    asked = {kind: server[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert set(asked.values()) <= served_paths()
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {server[kind]["httpGet"]["port"] for kind in asked} == {"http"}


def test_open_streams_get_their_time_before_the_kill(tmp_path: Path) -> None:
    drain = load_settings({}, tmp_path).limits.drain_seconds

    assert pod("Deployment/llm-backend")["spec"]["terminationGracePeriodSeconds"] >= drain + 5


def test_the_schema_is_made_before_the_server_starts() -> None:
    migrate, serve = containers("Deployment/llm-backend")

    assert (migrate["args"], serve["args"]) == (["db", "upgrade"], ["serve"])
    assert is_command(migrate["args"])
    assert is_command(serve["args"])
    assert migrate["env"] == serve["env"]
    assert migrate["image"] == serve["image"] == IMAGE


@pytest.mark.parametrize("index", [0, 1])
def test_the_settings_are_good_as_they_stand(index: int, tmp_path: Path) -> None:
    container = containers("Deployment/llm-backend")[index]
    seen = variables(container, SECRETS)

    settings = load_settings(IMAGE_ENVIRONMENT | seen, tmp_path)

    assert set(seen) - KNOWN_VARIABLES == {"POSTGRES_PASSWORD"}
    assert settings.warnings == ()
    assert (settings.upstream.name, settings.auth, settings.port) == ("openai", "keys", PORT)
    assert settings.database_url.get_secret_value() == "postgresql://llm:lettersanddigits@postgres:5432/llm"
    assert {"name": "data", "mountPath": str(settings.home)} in container["volumeMounts"]


def test_without_an_upstream_key_echo_answers(tmp_path: Path) -> None:
    container = containers("Deployment/llm-backend")[1]

    settings = load_settings(variables(container, SECRETS | {"OPENAI_API_KEY": "", "ADMIN_TOKEN": ""}), tmp_path)

    assert settings.upstream.name == "echo"


def test_the_database_is_the_one_that_the_server_asks_for() -> None:
    (database,) = containers("StatefulSet/postgres")
    seen = variables(database, SECRETS)

    assert (seen["POSTGRES_USER"], seen["POSTGRES_DB"]) == ("llm", "llm")
    assert seen["POSTGRES_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
    assert any(seen["PGDATA"].startswith(f"{mount['mountPath']}/") for mount in database["volumeMounts"])


def test_the_interface_asks_the_service() -> None:
    (interface,) = containers("Deployment/chatbot-ui")
    port = DOCUMENTS["Service/llm-backend"]["spec"]["ports"][0]["port"]

    assert variables(interface, {})["OPENAI_API_HOST"] == f"http://llm-backend:{port}"


def test_every_secret_that_is_asked_for_is_in_the_example() -> None:
    (generator,) = KUSTOMIZATION["secretGenerator"]
    example = dict(
        line.split("=", 1)
        for line in (ROOT / "k8s/example.env").read_text().splitlines()
        if "=" in line and line[0] != "#"
    )
    references = [found["secretKeyRef"] for found in walk(list(DOCUMENTS.values())) if "secretKeyRef" in found]

    assert {reference["name"] for reference in references} == {generator["name"]}
    assert {reference["key"] for reference in references} == set(example) == set(SECRETS)
    assert set(example.values()) == {""}
    assert generator["envs"] == [".env"]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_kustomization_names_files_images_and_the_version() -> None:
    assert set(KUSTOMIZATION["resources"]) < set(FILES)
    assert KUSTOMIZATION["images"] == [{"name": IMAGE, "newName": "llm-backend", "newTag": version()}]
    assert "namespace" not in KUSTOMIZATION
