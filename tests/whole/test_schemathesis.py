"""The served document and the server say the same: schemathesis asks, by every check that it has.

`PROOF=1` (`make proof`) asks for 200 cases an operation from a random seed too, where CI asks for 30.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from llm_backend.contract.operations import operations
from llm_backend.errors import Json
from tests.whole.standing import ADMIN_TOKEN, SECRET_KEY, Standing, environment, told

IS_WHOLE = os.environ.get("PROOF") == "1"
CASES = 200 if IS_WHOLE else 30
SEEDS = [1, secrets.randbits(32)] if IS_WHOLE else [1]
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

CONFIGURATION = """
hooks = "{hooks}"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400]
[auth.openapi.key]
bearer = "{key}"
[auth.openapi.admin]
bearer = "{admin}"
[[operations]]
include-operation-id = "retrieveModel"
parameters = {{ model = "echo" }}
[[operations]]
include-operation-id = "getDocsAsset"
parameters = {{ asset = "swagger-ui.css" }}
[[operations]]
include-path-regex = "^/api/"
parameters = {{ account_id = {account}, key_id = "{key_id}", chat_id = {chat} }}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404]
"""
"""The parameters name what exists: whatever else is asked for is a 404.

Below `/api`, what is valid may be refused by what is there already: names are taken, and what was just deleted is gone.

What is valid may be a 400 if it was the upstream that gave it; the test looks that up, as schemathesis cannot.
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_every_check_of_schemathesis_passes_on_every_served_operation(
    server: Standing, tmp_path: Path, seed: int
) -> None:
    document: Json = httpx.get(f"{server.root}/openapi.json").json()
    served = sum(operation.is_served for operation in operations(document))

    code, said, report = examined(server, tmp_path, seed)

    assert code == 0, said
    assert report["operations"] | {"skip_reasons": []} == {
        "total": report["operations"]["total"],
        "selected": served,
        "tested": served,
        "errored": 0,
        "skipped": 0,
        "skip_reasons": [],
    }
    # What was deleted, erased or rotated by one request is refused to the next, as are names that are taken.
    warnings = [(name, warning) for name, every in report["warnings"].items() for warning in every]
    gone = ("/api/account", "/api/users/")
    assert [(name, warning) for name, warning in warnings if not any(path in warning for path in gone)] == []
    assert refused_by_us(server, tmp_path) == set()


def refused_by_us(server: Standing, folder: Path) -> set[str]:
    """The ids of the valid requests that were answered 400 without having been sent to the upstream."""
    file = folder / "refused"
    refused = set(file.read_text().split()) if file.exists() else set()
    entries = [json.loads(line) for line in server.lines if '"event": "request"' in line]
    return refused - {entry["request_id"] for entry in entries if "upstream" in entry}


def examined(server: Standing, folder: Path, seed: int) -> tuple[int, str, Json]:
    """Its exit code, what it printed, and its report."""
    # An account of its own: it will be renamed and deleted, and its key rotated and revoked.
    made = told(server.folder, "accounts", "create", f"examined {seed}", SECRET_KEY=SECRET_KEY)
    with httpx.Client(base_url=server.root, headers={"authorization": f"Bearer {server.key}"}) as client:
        chat: Json = client.post("/api/chats", json={"name": "examined"}).json()
    configuration, report = folder / "schemathesis.toml", folder / "report.json"
    configuration.write_text(
        CONFIGURATION.format(
            hooks=HOOKS,
            key=server.key,
            admin=ADMIN_TOKEN,
            account=made["id"],
            key_id=made["key_id"],
            chat=chat["id"],
        )
    )
    program = Path(sys.executable).with_name("schemathesis")
    words = f"""--config-file {configuration} run {server.root}/openapi.json --phases examples,coverage,fuzzing
        --checks all --max-examples {CASES} --seed {seed} --no-color --continue-on-failure --report json
        --report-json-path {report} --generation-database none --include-by""".split()
    done = subprocess.run(  # noqa: S603 (a program of the development requirements)
        [program, *words, "/x-fate == served"],
        cwd=folder,
        env=environment(PYTHONPATH=str(HOOKS.parents[2]), REFUSED=str(folder / "refused")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return done.returncode, done.stdout, json.loads(report.read_text())
