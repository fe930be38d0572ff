"""What a developer and CI do in a checkout: Makefile, `.ci/run`, and the files that git ignores."""

import re
import subprocess

from tests.deployment.facts import KNOWN_VARIABLES, ROOT


def shown(*words: str, **variables: str) -> str:
    """The commands that `make` would run."""
    environment = {"PATH": "/usr/bin:/bin", **variables}
    command = ("make", "--dry-run", "--always-make", *words)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 (our own Makefile)
    return done.stdout


def test_make_run_leaves_the_port_to_the_settings() -> None:
    assert shown("run").splitlines()[-1].split() == [".venv/bin/llm-backend", "dev"]


def test_make_run_takes_a_port_as_an_argument_or_from_the_environment() -> None:
    expected = ".venv/bin/llm-backend dev --port 8123"

    assert shown("run", "PORT=8123").splitlines()[-1] == expected
    assert shown("run", PORT="8123").splitlines()[-1] == expected


def test_ci_unsets_whatever_the_settings_read() -> None:
    lines = re.findall(r"^unset (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert KNOWN_VARIABLES - set(" ".join(lines).split()) == set()


def test_the_secrets_of_compose_stand_in_a_file_that_git_ignores_and_make_run_does_not_read() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    for name in ("compose.yaml", "docs/deployment.md"):
        text = (ROOT / name).read_text()
        assert set(re.findall(r">> (\S+)", text)) == {"compose.env"}
        commands = re.findall(r"^[# ]*(docker compose .+)$", text, re.MULTILINE)
        assert commands
        assert all(command.startswith("docker compose --env-file compose.env ") for command in commands)
    assert {".env", "compose.env"} <= set(ignored)
