"""What `make run` keeps from one start to the next, and other commands find: a key and an admin token."""

import os
from pathlib import Path

FOLDER = Path(".dev")
API_KEY = "api_key"
ADMIN_TOKEN = "admin_token"  # noqa: S105 (a file's name)


def kept(name: str) -> str | None:
    file = FOLDER / name
    return file.read_text().strip() if file.exists() else None


def keep(name: str, secret: str) -> str:
    """Write `secret` to a file of the development folder, for this user's eyes alone; returns it."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    file = FOLDER / name
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secret + "\n")
    return secret
