"""docs/clients.md: every client has its rows, and what it says is shown somewhere is shown there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clients.md").read_text()
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
CLIENTS = [
    "Python 2.x",
    "Python 3.x",
    "Node 7.x",
    "chatbot-ui 1",
    "chatbot-ui 2",
    "Open WebUI",
    "LibreChat",
    "LobeChat",
    "NextChat",
    "Chatbox",
    "Cherry Studio",
    "Continue",
    "Cline",
    "Roo Code",
    "opencode",
    "Codex CLI",
    "n8n",
]


def functions_of(name: str) -> set[str]:
    """What is defined in the file of tests that the page calls `name`."""
    file = ROOT / (name if name.startswith("tests/") else f"tests/clients/{name}")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.parse(file.read_text()).body if isinstance(each, kinds)}


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_the_page_names_exists(file: str) -> None:
    assert {test for named, test in NAMED if named == file} <= functions_of(file)


def test_every_client_is_set_up_in_one_row_and_has_needs_in_others() -> None:
    _, set_up, needs = PAGE.split("\n## ", 2)

    for client in CLIENTS:
        assert re.search(rf"^\|[^|]*{re.escape(client)}", set_up, re.MULTILINE), client
        assert re.search(rf"^\|[^|]*{re.escape(client)}", needs, re.MULTILINE), client
