"""Several processes on one socket. uvicorn's own supervisor knows one server class and one signal, hence this one."""

import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from llm_backend.edge.serving import Serving
from llm_backend.loading import loading

CANNOT_START = 3
"""uvicorn's exit code where the application or its address cannot be had."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(app: str, serving: Serving, *, workers: int = 1) -> int:
    """Serve until told to stop; `app` is the import string of a function that makes an Edge. The exit code is returned.

    Runs in the main thread, whose signals it takes. A process that dies is replaced; one that cannot start ends all.
    """
    if workers == 1:
        from llm_backend.edge.server import server  # noqa: PLC0415 (whoever only starts others does not need it)

        single = server(app, serving, signals=(*SIGNALS, *_reloads()))
        single.run()
        return 0 if single.started else CANNOT_START
    try:
        bound = _bound(serving.host, serving.port)
    except OSError as error:
        sys.stderr.write(f"llm-backend: cannot listen on {serving.host}:{serving.port}: {error.strerror}.\n")
        return CANNOT_START
    return _Supervisor(app, serving, bound, workers).run()


class _Supervisor:
    def __init__(self, app: str, serving: Serving, bound: socket.socket, workers: int) -> None:
        # Sockets reach a spawned process only after this has been asked for.
        multiprocessing.allow_connection_pickling()
        self._app = app
        self._serving = serving
        self._socket = bound
        self._reloads = _reloads()
        self._workers = [self._started() for _ in range(workers)]
        self._is_stopping = False
        self._failed = False

    def run(self) -> int:
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        for number in self._reloads:
            signal.signal(number, self._reload)
        while self._workers:
            wait([worker.sentinel for worker in self._workers])
            self._look_after()
        self._socket.close()
        return CANNOT_START if self._failed else 0

    def _look_after(self) -> None:
        for worker in [worker for worker in self._workers if not worker.is_alive()]:
            self._workers.remove(worker)
            if worker.exitcode == CANNOT_START:
                self._failed = True
                self._stop()
            elif not self._is_stopping:
                self._workers.append(self._started())
        if self._is_stopping:
            self._stop()  # also the one that was started while the signal came

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Tell the workers at each signal: they know themselves what the second means."""
        _ = number, frame
        self._stop()

    def _reload(self, number: int, frame: FrameType | None) -> None:
        """Tell the workers: each reads the settings for itself."""
        _ = frame
        for worker in self._workers:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, number)

    def _stop(self) -> None:
        self._is_stopping = True
        for worker in self._workers:
            worker.terminate()

    def _started(self) -> SpawnProcess:
        context = multiprocessing.get_context("spawn")
        worker = context.Process(target=_work, args=(self._app, self._serving, self._socket, self._reloads))
        worker.start()
        return worker


def _bound(host: str, port: int) -> socket.socket:
    """Each worker listens on it for itself: before one does, nobody can connect."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def _work(app: str, serving: Serving, listening: socket.socket, reloads: tuple[signal.Signals, ...]) -> None:
    # A terminal sends Ctrl-C to every process; only the parent counts them, and tells.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in reloads:
        # Whoever has not begun to serve reads the new settings anyway.
        signal.signal(number, signal.SIG_IGN)
    with loading():
        from llm_backend.edge.server import server  # noqa: PLC0415 (as above)

    server(app, serving, signals=(signal.SIGTERM, *reloads)).run(sockets=[listening])


def _reloads() -> tuple[signal.Signals, ...]:
    """SIGHUP, but not at a terminal: one that is closed sends it too, and is to end what runs in it."""
    return () if sys.stdin is not None and sys.stdin.isatty() else (signal.SIGHUP,)
