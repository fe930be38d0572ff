"""The document and the server say the same of every operation: schemathesis asks, by every check that it has.

`PROOF=1` (`make proof`) asks for 200 cases of each served operation from a random seed too, where CI asks for 30; what
is relayed or not served is asked a few times.
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
from tests.whole.good_requests import BODIES, HELLO
from tests.whole.standing import ADMIN_TOKEN, SECRET_KEY, Standing, environment, told

IS_WHOLE = os.environ.get("PROOF") == "1"
CASES = 200 if IS_WHOLE else 30
RELAYED_CASES = 30 if IS_WHOLE else 4
UNSERVED_CASES = 2
SEEDS = [1, secrets.randbits(32)] if IS_WHOLE else [1]
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

CONFIGURATION = """
hooks = "{hooks}"
[generation]
max-examples = {cases}
[phases.stateful]
enabled = false
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
[[operations]]
include-path-regex = "^/v1/conversations"
parameters = {{ conversation_id = "{talk}", item_id = "{said}", after = "{said}" }}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404]
[[operations]]
include-path-regex = "^/v1/chat/completions"
parameters = {{ completion_id = "{kept}" }}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404]
[[operations]]
include-path-regex = "^/v1/responses"
parameters = {{ response_id = "{answered}" }}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404]
[[operations]]
include-operation-id = "createBetaResponse"
generation.mode = "positive"
phases.coverage.enabled = false
[[operations]]
include-path-regex = "^/v1/responses/(compact|input_tokens)"
phases.coverage.enabled = false
[[operations]]
include-operation-id = ["createImageEdit", "createSpeech"]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404]
[[operations]]
include-by = "/x-fate == relayed"
generation.max-examples = {relayed}
phases.coverage.enabled = false
[operations.checks]
positive_data_acceptance.enabled = false
response_schema_conformance.enabled = false
[[operations]]
include-by = "/x-fate == not_served"
generation.max-examples = {unserved}
phases.examples.enabled = false
phases.coverage.enabled = false
[operations.checks]
not_a_server_error.expected-statuses = ["4xx", 501]
positive_data_acceptance.enabled = false
negative_data_rejection.enabled = false
"""
"""The parameters name what exists: whatever else is asked for is a 404.

Below `/api`, what is valid may be refused by what is there already: names are taken, and what was just deleted is gone.

A message may name a sound, speech a voice, and an edit a file, that was made before, and none was. A list may begin
behind what never was, an item refer to it, and what was just deleted is gone.

What the beta is given differs by a few types of items: what is wrong with a request for a response is asked without it.

What is made short, or counted, is what a response is given, which is gone through once. Their paths could be ids of
responses as well, so that more methods are allowed there than theirs.

What is valid may be a 400 if it was the upstream that gave it; the test looks that up, as schemathesis cannot. What is
relayed names objects that do not exist, and its answers are the upstream's; what is not served is not validated.
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_every_check_of_schemathesis_passes_on_every_operation(server: Standing, tmp_path: Path, seed: int) -> None:
    document: Json = httpx.get(f"{server.root}/openapi.json").json()
    every = list(operations(document))
    served = {f"{each.method.upper()} {each.path}" for each in every if each.is_served}

    code, said, report = examined(server, tmp_path, seed)

    assert code == 0, said
    total = len(every) - 1  # not the one that gives the document itself, which schemathesis asks no further
    assert report["operations"] | {"skip_reasons": []} == {
        "total": total,
        "selected": total,
        "tested": total,
        "errored": 0,
        "skipped": 0,
        "skip_reasons": [],
    }
    # What was deleted, erased or rotated by one request is refused to the next, as are names that are taken; and the
    # upstream edits no picture that is none, and speaks with no voice that it does not have.
    warnings = [(name, warning) for name, found in report["warnings"].items() for warning in found]
    deleted = ("/api/account", "/api/users/", "/v1/chat/completions/{", "/v1/conversations", "/v1/responses")
    gone = (*deleted, "/v1/images/edits", "/v1/audio/speech")
    ours = [(name, warning) for name, warning in warnings if warning in served]
    assert [(name, warning) for name, warning in ours if not any(path in warning for path in gone)] == []
    assert refused_by_us(server, tmp_path) == []


def refused_by_us(server: Standing, folder: Path) -> list[str]:
    """The valid requests that were answered 400 without having been sent to the upstream: an id, and what was said."""
    file = folder / "refused"
    refused = file.read_text().splitlines() if file.exists() else []
    entries = [json.loads(line) for line in server.lines if line.startswith("{")]
    sent = {entry["request_id"] for entry in entries if entry["event"] == "request" and "upstream" in entry}
    assert sent
    return [line for line in refused if line.partition(" ")[0] not in sent]


def examined(server: Standing, folder: Path, seed: int) -> tuple[int, str, Json]:
    """Its exit code, what it printed, and its report."""
    # An account of its own: it will be renamed and deleted, and its key rotated and revoked.
    made = told(server.folder, "accounts", "create", f"examined {seed}", SECRET_KEY=SECRET_KEY)
    with httpx.Client(base_url=server.root, headers={"authorization": f"Bearer {server.key}"}) as client:
        chat: Json = client.post("/api/chats", json={"name": "examined"}).json()
        kept: Json = client.post("/v1/chat/completions", json=BODIES["createChatCompletion"] | {"store": True}).json()
        answered: Json = client.post("/v1/responses", json=BODIES["createResponse"]).json()
        talk: Json = client.post("/v1/conversations", json={"items": HELLO}).json()
        said: Json = client.get(f"/v1/conversations/{talk['id']}/items").json()
    configuration, report = folder / "schemathesis.toml", folder / "report.json"
    configuration.write_text(
        CONFIGURATION.format(
            hooks=HOOKS,
            key=server.key,
            admin=ADMIN_TOKEN,
            account=made["id"],
            key_id=made["key_id"],
            chat=chat["id"],
            kept=kept["id"],
            answered=answered["id"],
            talk=talk["id"],
            said=said["last_id"],
            cases=CASES,
            relayed=RELAYED_CASES,
            unserved=UNSERVED_CASES,
        )
    )
    program = Path(sys.executable).with_name("schemathesis")
    words = f"""--config-file {configuration} run {server.root}/openapi.json --seed {seed} --no-color
        --continue-on-failure --report json --report-json-path {report} --generation-database none""".split()
    done = subprocess.run(  # noqa: S603 (a program of the development requirements)
        [program, *words],
        cwd=folder,
        env=environment(PYTHONPATH=str(HOOKS.parents[2]), REFUSED=str(folder / "refused")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return done.returncode, done.stdout, json.loads(report.read_text())
