"""Whether a SQLite file is this process's alone."""

import fcntl
import os
from pathlib import Path


class Claim:
    """A process's hold on a file, let go when it ends, however it ends."""

    def __init__(self, database: Path) -> None:
        self._descriptor = os.open(database.with_name(f"{database.name}.serving"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.is_alone = False
        else:
            self.is_alone = True

    def close(self) -> None:
        """Let others claim the file."""
        os.close(self._descriptor)
