"""The small application as processes: PORT PARSER GRACE_SECONDS WORKERS [failing]."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from llm_backend.edge import workers
from llm_backend.edge.admission import Edge
from llm_backend.edge.serving import Parser, ServerTimes, Serving
from tests.edge.small_app import Small


class Telling(Small):
    """Says when it serves."""

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        async with super()._lifespan(_app):
            sys.stdout.write("serving\n")
            sys.stdout.flush()
            yield

    def reload(self) -> None:
        os.write(1, b"reloading\n")


class Failing(Small):
    """Cannot start."""

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        raise RuntimeError("It cannot start.")
        yield


def edge() -> Edge:
    return Telling().edge()


def failing_edge() -> Edge:
    return Failing().edge()


def main() -> int:
    port, parser, grace_seconds, processes = sys.argv[1:5]
    times = ServerTimes(grace_seconds=float(grace_seconds))
    serving = Serving(port=int(port), parser=cast(Parser, parser), times=times)
    factory = "failing_edge" if "failing" in sys.argv else "edge"
    return workers.serve(f"tests.edge.serving:{factory}", serving, workers=int(processes))


if __name__ == "__main__":
    sys.exit(main())
