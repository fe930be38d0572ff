import json
from pathlib import Path

import pytest

from llm_backend.settings import load_settings
from tests.deployment.dockerfile import environment, instructions, let_in, problems, sources, stages
from tests.deployment.facts import KNOWN_VARIABLES, PORT, ROOT, USER, is_command, served_paths

TEXT = (ROOT / "Dockerfile").read_text()
IGNORE = (ROOT / ".dockerignore").read_text()
LAST = stages(TEXT)[-1]


def argument(keyword: str) -> str:
    return next(step.arguments for step in LAST if step.keyword == keyword)


def test_the_dockerfile_keeps_every_rule() -> None:
    assert problems(TEXT) == []


@pytest.mark.parametrize(
    ("find", "put", "problem"),
    [
        (f"USER {USER}:{USER}", "USER root", "not a numeric user, or root"),
        (f"USER {USER}:{USER}", "USER 0:0", "not a numeric user, or root"),
        (f"USER {USER}:{USER}", "", "not a numeric user, or root"),
        ("WORKDIR /data", "RUN id", "RUN in the last stage"),
        ("python:3.13-slim-bookworm", "python", "base without a fixed tag: python"),
        ("python:3.13-slim-bookworm", "python:latest", "base without a fixed tag: python:latest"),
        ("COPY spec spec", "ADD https://example.com/spec spec", "ADD"),
        (" --require-hashes -r requirements/run.txt", " -r requirements/run.txt", "pip without hashes"),
        ("--no-index --no-deps /wheels", "--no-deps /wheels", "pip without hashes"),
        ("--require-hashes", "--require-hashes --index-url https://example.com", "index named"),
        ("HOME=/data \\", "OPENAI_API_KEY=x \\", "secret in ENV"),
        ("ARG PYTHON_IMAGE", "ARG TOKEN=x\nARG PYTHON_IMAGE", "secret in ARG"),
        ("&& install", "&& curl x && install", "curl in RUN"),
        ('ENTRYPOINT ["llm-backend"]', "ENTRYPOINT llm-backend", "ENTRYPOINT in shell form"),
        ('CMD ["python"', "CMD python", "HEALTHCHECK in shell form"),
        (f"EXPOSE {PORT}", "", "no EXPOSE"),
    ],
)
def test_each_rule_notices_when_it_is_broken(find: str, put: str, problem: str) -> None:
    broken = TEXT.replace(find, put)

    assert broken != TEXT
    assert problem in problems(broken)


def test_a_single_stage_is_noticed() -> None:
    assert "one stage only" in problems("FROM python:3.13\n" + TEXT.rpartition("FROM ")[2].partition("\n")[2])


def test_what_is_copied_exists_and_nothing_else_is_let_in() -> None:
    allowed = {line[1:] for line in IGNORE.splitlines() if line.startswith("!")}

    assert sources(TEXT) == allowed
    assert [source for source in sources(TEXT) if not (ROOT / source).exists()] == []


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("llm_backend/edge/guard.py", True),
        ("spec/openai.json", True),
        ("requirements/run.txt", True),
        ("requirements/dev.txt", False),
        (".env", False),
        ("k8s/.env", False),
        ("llm_backend/.env", False),
        ("llm_backend/__pycache__/app.cpython-313.pyc", False),
        ("llm-backend.db", False),
        (".git/config", False),
        ("tests/test_app.py", False),
    ],
)
def test_the_context_holds_sources_and_no_secrets(path: str, inside: bool) -> None:  # noqa: FBT001 (a case's value)
    assert let_in(IGNORE, path) is inside


def test_the_image_serves_with_nothing_set(tmp_path: Path) -> None:
    set_by_image = environment(LAST)

    settings = load_settings(set_by_image, tmp_path)

    assert (settings.host, settings.port) == ("0.0.0.0", PORT)  # noqa: S104 (a container's own network)
    assert str(settings.home) == argument("WORKDIR") == "/data"
    assert settings.auth == "keys"
    assert settings.warnings == ()
    system = {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    assert set(set_by_image) - KNOWN_VARIABLES == system


def test_the_exposed_port_is_the_one_served() -> None:
    assert argument("EXPOSE") == environment(LAST)["PORT"]


def test_the_healthcheck_is_python_that_asks_what_is_served() -> None:
    python, flag, program = json.loads(argument("HEALTHCHECK").partition("CMD ")[2])

    compile(program, "healthcheck", "exec")
    assert (python, flag) == ("python", "-c")
    assert any(path in program for path in served_paths())


def test_the_image_runs_a_command_there_is() -> None:
    assert json.loads(argument("ENTRYPOINT")) == ["llm-backend"]
    assert is_command(json.loads(argument("CMD")))
    assert not is_command(["serve", "twice"])
    assert not is_command(["sing"])


def test_dependencies_are_installed_before_sources_are_copied() -> None:
    first = stages(TEXT)[0]

    install = next(i for i, step in enumerate(first) if "--require-hashes" in step.arguments)
    copied = next(i for i, step in enumerate(first) if step.arguments.startswith("llm_backend "))
    assert install < copied
    assert len(instructions(TEXT)) > len(first)
