import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_backend.edge.serving import Parser
from tests.edge.wire import GOOD, Wire, wire

STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: here\r\n\r\n"
READY = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
ROOT = Path(__file__).parents[2]

# A grace that no test outlives: what ends earlier was ended by the second signal, or by itself.
LONG, SHORT = 300.0, 0.2


@contextmanager
def process(parser: Parser, grace_seconds: float, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.edge.serving",
        str(port),
        parser,
        str(grace_seconds),
        str(workers),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as started:  # noqa: S603 (our own module)
        assert started.stdout is not None
        for _ in range(workers):
            assert started.stdout.readline() == b"serving\n"
        while not _listens(port):
            assert started.poll() is None
        try:
            yield started, port
        finally:
            if started.poll() is None:
                started.terminate()
                started.terminate()


def _listens(port: int) -> bool:
    try:
        Wire(port).close()
    except ConnectionRefusedError:
        return False
    return True


def _streaming(port: int) -> Wire:
    client = Wire(port)
    client.send(STREAM)
    while client.line() != b"\r\n":
        pass
    assert client.chunk() == b"data: first\n\n"
    return client


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_the_first_signal_lets_nobody_in_and_the_second_ends_the_streams(parser: Parser) -> None:
    with process(parser, LONG, 1) as (started, port):
        stream, kept = _streaming(port), Wire(port)
        kept.send(GOOD)
        assert kept.answer().status == 200

        started.send_signal(signal.SIGTERM)

        while (status := _status(port, GOOD)) == 200:
            pass
        assert status == 503
        assert _status(port, READY) == 200
        kept.send(GOOD)
        assert kept.answer().error()["code"] == "draining"

        started.send_signal(signal.SIGTERM)

        assert stream.chunk() == b"data: last\n\n"
        assert started.wait() == 0
        stream.close()
        kept.close()


def test_the_first_signal_is_answered_in_the_log_with_what_still_runs() -> None:
    with process("httptools", LONG, 1) as (started, port):
        stream = _streaming(port)

        started.send_signal(signal.SIGINT)

        assert started.stdout is not None
        line = started.stdout.readline()
        assert b"stopping; a second signal ends what runs" in line
        assert b"running=1" in re.sub(rb"\x1b\[[0-9;]*m", b"", line)
        started.send_signal(signal.SIGINT)
        assert stream.chunk() == b"data: last\n\n"
        assert started.wait() == 0
        stream.close()


def test_streams_are_ended_when_their_grace_is_over() -> None:
    with process("httptools", SHORT, 1) as (started, port):
        stream = _streaming(port)

        started.send_signal(signal.SIGINT)

        assert stream.chunk() == b"data: last\n\n"
        assert started.wait() == 0
        stream.close()


def test_several_workers_serve_one_port_and_all_end() -> None:
    with process("httptools", SHORT, 2) as (started, port):
        for _ in range(10):
            assert _status(port, GOOD) == 200

        started.send_signal(signal.SIGTERM)

        assert started.wait() == 0
        assert not _listens(port)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_has_every_process_read_its_settings_again_and_ends_none(workers: int) -> None:
    with process("httptools", SHORT, workers) as (started, port):
        assert started.stdout is not None

        started.send_signal(signal.SIGHUP)

        assert [started.stdout.readline() for _ in range(workers)] == [b"reloading\n"] * workers
        assert _status(port, GOOD) == 200


def test_a_worker_that_dies_is_replaced() -> None:
    with process("httptools", SHORT, 2) as (started, port):
        assert started.stdout is not None
        victim = Path(f"/proc/{started.pid}/task/{started.pid}/children")
        children = [int(child) for child in victim.read_text().split()]
        serving = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

        os.kill(serving[-1], signal.SIGKILL)

        assert started.stdout.readline() == b"serving\n"
        assert _status(port, GOOD) == 200


def test_a_worker_that_cannot_start_ends_the_server_with_3() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.edge.serving", "0", "httptools", "1", "2", "failing"]

    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)  # noqa: S603 (ours)

    assert done.returncode == 3


def _status(port: int, request: bytes) -> int:
    with wire(port) as client:
        client.send(request)
        return client.answer().status


def test_workers_that_cannot_have_their_address_end_with_3_and_say_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-W", "ignore", "-m", "tests.edge.serving", str(port), "httptools", "1", "2"]

        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 (ours)

    assert done.returncode == 3
    assert done.stderr == f"llm-backend: cannot listen on 127.0.0.1:{port}: Address already in use.\n"
