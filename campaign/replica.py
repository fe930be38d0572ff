"""`llm-backend serve` as a process of its own."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

import httpx

from campaign.commands import environment_of, python_module


class Replica:
    """One server, at the same port and with the same folder however often it is started."""

    def __init__(self, home: Path, port: int, settings: Mapping[str, str]) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"
        self._settings = {**settings, "PORT": str(port), "LLM_BACKEND_HOME": str(home)}
        self._process: Process | None = None

    async def start(self, client: httpx.AsyncClient) -> None:
        """Returns when it is ready."""
        self.home.mkdir(exist_ok=True)
        with (self.home / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *python_module("llm_backend", "serve"),
                cwd=self.home,
                env=environment_of(self._settings),
                stdout=log,
                stderr=log,
                # A shell that ends hangs up on whole groups in which somebody is frozen.
                start_new_session=True,
            )
        while not await self.is_ready(client):
            if self._process.returncode is not None:
                raise RuntimeError(f"A server has not started; {self.home / 'log'} says why.")
            await asyncio.sleep(0.05)

    async def is_ready(self, client: httpx.AsyncClient) -> bool:
        """Whether it takes requests and shares its limits with the others."""
        try:
            answer = await client.get(f"{self.url}/readyz", timeout=30)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and answer.json()["limits"] == "shared"

    @property
    def journals(self) -> list[Path]:
        """What it has not entered yet, or could not read."""
        return sorted((self.home / "journal").glob("*"))

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    async def kill(self) -> None:
        self._send(signal.SIGKILL)
        await self._ended()

    async def stop(self) -> None:
        """As an operator stops it."""
        if self._process is not None and self._process.returncode is None:
            self._send(signal.SIGCONT)
            self._send(signal.SIGTERM)
            await self._ended()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _ended(self) -> None:
        assert self._process is not None
        await self._process.wait()
