"""Answers that are files: read as fast as the client does."""

import asyncio
import os
from typing import IO

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BLOCK_BYTES = 256 * 1024


class FileReply(Response):
    """The rest of an open file, which is closed however the answer ends."""

    def __init__(self, file: IO[bytes], media_type: str, name: str) -> None:
        headers = {"content-type": media_type, "content-disposition": f'attachment; filename="{name}"'}
        # By its length a client knows whether it has got all of it.
        length = str(os.fstat(file.fileno()).st_size - file.tell())
        super().__init__(None, 200, headers | {"cache-control": "no-store", "content-length": length})
        self._file = file

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while block := await asyncio.to_thread(self._file.read, BLOCK_BYTES):
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._file.close()
