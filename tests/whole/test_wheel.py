"""The wheel, in an environment of its own, in an empty folder outside the checkout, with nothing set: it serves.

What it depends on is not downloaded: a `.pth` shows the new environment the packages of the one that runs the tests. A
path in a `.pth` does not have the `.pth` files there read, so the editable installation of the checkout stays unseen.
"""

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx
import pytest

from tests.whole.standing import Standing, standing

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    interpreter = environment / "bin" / "python"
    (own,) = (environment / "lib").glob("python*/site-packages")
    pip = ("-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-deps", "--no-index", "--no-cache-dir")
    run(sys.executable, *pip, str(wheel), cwd=folder)
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def run(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def printed(python: Path, folder: Path, *words: str) -> str:
    """What the installed command prints in `folder`, with nothing set."""
    return run(python.with_name("llm-backend"), *words, cwd=folder, env={})


def test_the_package_and_its_documents_come_from_the_wheel(python: Path, tmp_path: Path) -> None:
    asked = "from llm_backend.resources import resource; print(resource('spec'), resource('migrations'))"

    folders = run(python, "-c", asked, cwd=tmp_path, env={}).split()

    assert [python.parents[1] in Path(folder).parents for folder in folders] == [True, True]


def test_it_makes_its_database_and_answers_the_key_that_it_prints(python: Path, tmp_path: Path) -> None:
    with standing(tmp_path, command=(python.with_name("llm-backend"),), env={}) as server:
        assert (tmp_path / "llm-backend.db").exists()
        health = httpx.get(f"{server.root}/healthz")
        server.key = json.loads(printed(python, tmp_path, "accounts", "create", "me", "--json"))["api_key"]
        chat = said(server)

    assert health.json() == {"status": "ok"}
    assert chat == "Hello there"


def said(server: Standing) -> str:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]}
    answer = httpx.post(f"{server.root}/v1/chat/completions", json=body, headers=server.headers)
    return str(answer.json()["choices"][0]["message"]["content"])


def test_its_other_commands_work_there(python: Path, tmp_path: Path) -> None:
    coverage = printed(python, tmp_path, "spec", "coverage")
    printed(python, tmp_path, "config", "check")
    schema = printed(python, tmp_path, "db", "upgrade")

    assert coverage == (CHECKOUT / "docs" / "coverage.md").read_text()
    assert schema.startswith("The database went from empty to schema ")
