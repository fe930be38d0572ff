"""A page in a headless Chromium: served on loopback, it tells what it saw, and the browser is closed."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FOLDER = Path(__file__).with_name("browser")
_MODULES = Path(__file__).with_name("node") / "node_modules"
_QUIETLY = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the page is; what it tells comes once."""

    port: int
    told: asyncio.Future[dict[str, Any]]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stranger(self) -> str:
        """The same page by another name is a page of another origin."""
        return f"localhost:{self.port}"


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Serves the page and the SDK that it uses on a free port of 127.0.0.1."""
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def take(request: web.Request) -> web.Response:
        told.set_result(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/told", take)
    app.router.add_static("/node_modules", _MODULES)
    app.router.add_static("/", _FOLDER)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(int(runner.addresses[0][1]), told)
    finally:
        await runner.cleanup()


async def seen(page: Site, profile: Path, **given: str) -> dict[str, Any]:
    """What the page tells, opened with `given` in its address. Raises AssertionError where the browser ends first."""
    assert CHROMIUM, "CI needs Chromium."
    address = f"{page.origin}/page.html#{urlencode(given)}"
    words = (*_QUIETLY, *_sandbox(), f"--user-data-dir={profile}", address)
    browser = await asyncio.create_subprocess_exec(CHROMIUM, *words, stdout=DEVNULL, stderr=DEVNULL)
    ended = asyncio.create_task(browser.wait())
    try:
        # A page that hangs is a failure, not a run without an end.
        await asyncio.wait((ended, page.told), timeout=120, return_when=asyncio.FIRST_COMPLETED)
        assert page.told.done(), f"Chromium ended with {browser.returncode}, and the page told nothing."
        return page.told.result()
    finally:
        if browser.returncode is None:
            browser.terminate()
        await ended


async def drawn(address: str, profile: Path) -> str:
    """The elements of the page at `address` once its scripts are done."""
    assert CHROMIUM, "CI needs Chromium."
    words = (*_QUIETLY, *_sandbox(), f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", address)
    browser = await asyncio.create_subprocess_exec(CHROMIUM, *words, stdout=PIPE, stderr=DEVNULL)
    elements, _ = await asyncio.wait_for(browser.communicate(), 120)
    return elements.decode()


def _sandbox() -> tuple[str, ...]:
    """Root may not have one, and whoever else runs the tests opens our own pages only."""
    return ("--no-sandbox",) if os.geteuid() == 0 else ()
