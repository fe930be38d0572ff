import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from llm_backend.upstream.forms import Form, Part, Stretch


async def test_a_hundred_mebibytes_pass_through_without_being_in_memory(tmp_path: Path) -> None:
    size = 100 * 2**20
    with (tmp_path / "sound").open("w+b") as file:
        file.truncate(size - 5)
        file.seek(0, os.SEEK_END)
        file.write(b"sound")
        file.flush()
        async with sink() as upstream, process() as (port, pid):
            fields = Part.text("model", "m"), Part.text("prompt", upstream.url)
            small = Form((*fields, Part("file", bytes(2**22), 2**22, "a.wav", "audio/wav")))
            large = Form((*fields, Part("file", Stretch(file, 0, size), size, "a.wav", "audio/wav")))
            for _ in range(3):
                await relayed(port, small)
            before = memory_kib(pid)

            answer = await relayed(port, large)

            assert memory_kib(pid) - before < 2048
            expected = large.replaced(model="theirs", prompt=None)
            expected._boundary = upstream.boundaries[-1]
            digest = sha256()
            async for piece in expected.chunks():
                digest.update(piece)
            assert answer == {"length": expected.length, "digest": digest.hexdigest()}


@dataclass
class Sink:
    """An upstream that tells what it was sent."""

    url: str = ""
    boundaries: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.boundaries.append(headers["content-type"].partition("boundary=")[2])
        left, digest = int(headers["content-length"]), sha256()
        while left:
            piece = await reader.read(min(left, 65_536))
            digest.update(piece)
            left -= len(piece)
        told = json.dumps({"length": int(headers["content-length"]), "digest": digest.hexdigest()}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    found = Sink()
    async with await asyncio.start_server(found.answer, "127.0.0.1", 0) as server:
        found.url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        yield found


@asynccontextmanager
async def process() -> AsyncIterator[tuple[int, int]]:
    """The port and the id of a server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = (sys.executable, "-m", "tests.edge.form_app", str(port))
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert await server.stdout.readline() == b"serving\n"
        yield port, server.pid
    finally:
        server.terminate()
        await server.communicate()


async def relayed(port: int, sent: Form) -> Any:
    headers = {"content-type": sent.content_type, "content-length": str(sent.length)}
    async with httpx.AsyncClient(timeout=60, transport=httpx.AsyncHTTPTransport(retries=5)) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/v1/relayed", content=sent.chunks(), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def memory_kib(pid: int) -> int:
    """The most memory that a process has had since this was asked last, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(status.partition("VmHWM:")[2].split()[0])
