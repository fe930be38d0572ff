"""A script that makes the accounts of a whole course works unchanged, and its keys do."""

import json
import sys
from pathlib import Path

from tests.clients.processes import finished
from tests.handlers.administering import key_status
from tests.serving import Running

SCRIPT = Path(__file__).with_name("accounts_script.py")


async def test_a_script_makes_the_accounts_of_a_course(running: Running, tmp_path: Path) -> None:
    (tmp_path / "students.csv").write_text("1001,Sam\n1002,Kim\n1003,Alex\n")

    done = await finished(
        sys.executable,
        SCRIPT,
        "students.csv",
        cwd=tmp_path,
        PARROT_API_BASE=running.root,
        PARROT_ADMIN_TOKEN=running.admin_token,
    )

    assert (done.code, done.out, done.err) == (0, "3\n", "")
    made = json.loads((tmp_path / "accounts.json").read_text())
    assert [(account["name"], account["users"][0]["code"]) for account in made] == [
        ("group 1001", "1001"),
        ("group 1002", "1002"),
        ("group 1003", "1003"),
    ]
    assert [await key_status(running, account["api_key"]) for account in made] == [200] * 3
