"""What the deployment's files must agree with, read from where it is said."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.core import TyperGroup

from llm_backend.settings.variables import ALIASES, CONFIG, FROM_FILES, VARIABLES

ROOT = Path(__file__).parents[2]
USER = 10001
PORT = 5000
IMAGE = "llm-example/llm-backend"
KNOWN_VARIABLES = {*VARIABLES, *ALIASES, *(f"{name}_FILE" for name in FROM_FILES), CONFIG}
SECRETS = {
    "POSTGRES_PASSWORD": "lettersanddigits",
    "SECRET_KEY": "s" * 32,
    "ADMIN_TOKEN": "t" * 32,
    "OPENAI_API_KEY": "a-key",
}
"""What an operator fills in."""


def version() -> str:
    """Read the project's version."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def documents(path: str) -> list[dict[str, Any]]:
    """Read the YAML documents of a file."""
    return list(yaml.safe_load_all((ROOT / path).read_text()))


def served_paths() -> set[str]:
    """Read the paths of the server's own operations, among them what probes may ask."""
    return set(documents("spec/extensions/service.yaml")[0]["paths"])


def is_command(arguments: list[str]) -> bool:
    """Whether `llm-backend` has the command that `arguments` name."""
    from llm_backend.cli.program import program  # noqa: PLC0415 (the whole server; few tests ask)

    command: Any = typer.main.get_command(program)
    for argument in arguments:
        if not isinstance(command, TyperGroup) or argument not in command.commands:
            return False
        command = command.commands[argument]
    return not isinstance(command, TyperGroup)


def walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping within `value`."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)
