"""A PostgreSQL of the campaign's own, to be stopped and frozen."""

import asyncio
import os
import pwd
import shutil
import signal
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Any


class Postgres:
    """One server in `folder`, which listens on `port` of 127.0.0.1 and trusts everybody there."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        self._frozen: list[int] = []

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    async def create(self) -> None:
        """Make the cluster and start it."""
        self._folder.mkdir()
        if account := _unprivileged():
            self._folder.parent.chmod(0o755)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        await self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        await self.start()

    async def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-p {self._port} -h 127.0.0.1 -k {self._folder}"
        await self._run("pg_ctl", "-w", "-t", "300", "-l", str(self._folder / "log"), "-o", options, "start")

    async def stop_at_once(self) -> None:
        """Without a checkpoint, and without a word to its clients."""
        await self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def freeze(self) -> None:
        """The postmaster before its children, so that none is born meanwhile. The connections stay."""
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        self._frozen = [postmaster, *_children(postmaster)]
        for process in self._frozen[1:]:
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in reversed(self._frozen):
            os.kill(process, signal.SIGCONT)
        self._frozen = []

    async def _run(self, program: str, *arguments: str) -> None:
        account = _unprivileged()
        # Whom the server refuses to run as.
        who: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        process = await asyncio.create_subprocess_exec(
            str(_binaries() / program), "-D", str(self._data), *arguments, cwd=self._folder, stdout=DEVNULL, **who
        )
        if await process.wait():
            raise RuntimeError(f"{program} has failed; {self._folder} may say why.")


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs the server where this process is root's; None where it is not."""
    if os.geteuid():
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _binaries() -> Path:
    """Where `initdb` and `pg_ctl` are: on the path, or where Debian puts those of the newest version."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise RuntimeError("PostgreSQL's initdb and pg_ctl are not installed.")
    return versions[-1].parent


def _children(parent: int) -> list[int]:
    """The processes that it has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything, in brackets: the state, then the parent.
            told = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        if int(told[1]) == parent:
            found.append(int(folder.name))
    return found
