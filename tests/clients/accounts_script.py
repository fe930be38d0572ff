"""Makes one account for each line of a list of students, with its user, and keeps what it was told in a file.

A client as its users write them: it reads `id`, `name`, `users` and `api_key`, and knows nothing else of the server.
"""

import json
import os
import sys
from pathlib import Path
from urllib.request import Request, urlopen

BASE = os.environ["PARROT_API_BASE"]
HEADERS = {"Authorization": f"Bearer {os.environ['PARROT_ADMIN_TOKEN']}", "Content-Type": "application/json"}


def asked(method: str, path: str, body: object = None) -> list[dict[str, object]] | dict[str, object]:
    """The JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(BASE + path, data, HEADERS, method=method)) as answer:  # noqa: S310 (the test's own server)
        told: list[dict[str, object]] | dict[str, object] = json.load(answer)
        return told


def main() -> None:
    made = []
    for line in Path(sys.argv[1]).read_text().splitlines():
        code, name = line.split(",")
        user = asked("POST", "/api/users", {"code": int(code), "name": name})
        assert isinstance(user, dict)
        account = asked("POST", "/api/accounts", {"name": f"group {code}", "budget": 500, "users": [user["id"]]})
        made.append(account)
    Path("accounts.json").write_text(json.dumps(made, indent=4))
    listed = asked("GET", "/api/accounts?name=GROUP")
    sys.stdout.write(f"{len(listed)}\n")


main()
