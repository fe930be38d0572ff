"""`llm-backend echo`: the echo model alone, for anyone's tests."""

from typing import Annotated

import typer


def echo(
    port: Annotated[int, typer.Option(help="Where to listen; 0 is any free port.")] = 8001,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    model: Annotated[
        list[str] | None, typer.Option(help="A further model id that answers as echo; repeatable.")
    ] = None,
) -> None:
    """Serve the echo model: deterministic, offline, and faulty on request."""
    import asyncio  # noqa: PLC0415 (the other commands need not wait for it)

    asyncio.run(_serve(host, port, tuple(model or ())))


async def _serve(host: str, port: int, models: tuple[str, ...]) -> None:
    """Serve until the process is told to stop, by SIGINT or SIGTERM."""
    import asyncio  # noqa: PLC0415 (as above)
    import signal  # noqa: PLC0415 (as above)

    from llm_backend.upstream.echo.core import Echo  # noqa: PLC0415 (as above)
    from llm_backend.upstream.echo.server import EchoServer  # noqa: PLC0415 (as above)

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with EchoServer(Echo(models=models), host=host, port=port) as server:
        typer.echo(f"The echo model answers at {server.base_url} (any key; calls at /echo/calls)")
        await stopped.wait()
