"""What the command line asks for."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import postgres
from benchmarks.servers import Server

USUAL = ("whole", "streams", "responses", "start", "memory")
SCENARIOS = (*USUAL, "flat")
_PEER = re.compile(r"(?P<name>[^=]+)=(?P<url>https?://[^@]+?)/?(?:@(?P<process>\d+))?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One run."""

    scenarios: tuple[str, ...]
    is_quick: bool
    rounds: int
    requests: int
    peers: tuple[Server, ...]
    upstream_port: int
    postgresql: str
    out: Path


def asked(arguments: Sequence[str] | None) -> Asked:
    """Of `arguments`, else of the command line. Ends the process where they make no sense."""
    told = _parser().parse_args(arguments)
    return Asked(
        scenarios=("whole",) if told.quick else told.only,
        is_quick=told.quick,
        rounds=told.rounds,
        requests=told.requests,
        peers=tuple(_peer(told.peer_key, *peer) for peer in told.peer),
        upstream_port=told.upstream_port,
        postgresql=told.postgresql,
        out=told.out,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What a request costs.")
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group().add_argument
    which("--quick", action="store_true", help="whole answers on SQLite only, in about a minute")
    which("--only", type=_scenarios, default=USUAL, help=f"some of {','.join(SCENARIOS)} (default: all but the last)")
    add("--rounds", type=int, default=5, help="of each measurement (default 5)")
    add("--requests", type=int, default=800, help="whole answers in a measurement (default 800)")
    add("--peer", type=_named, default=[], action="append", metavar="NAME=URL[@PID]", help=(
        "another server, by its base URL with /v1, and its process where CPU is wanted; it serves the model 'bench' "
        "from 127.0.0.1 at --upstream-port; repeatable"
    ))  # fmt: skip
    add("--peer-key", default="benchmarks", help="what the peers are sent as the key")
    add("--upstream-port", type=int, default=0, help="of the stand-in upstream, for peers to be told (default: any)")
    add(
        "--postgresql", default=postgres.SERVER, metavar="URL", help="left out where none answers (default %(default)s)"
    )
    add("--out", type=Path, default=Path("benchmarks/results.json"), help="the JSON (default %(default)s)")
    return parser


def _scenarios(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"no such scenario: {', '.join(sorted(unknown))}")
    return names


def _named(text: str) -> tuple[str, str, int | None]:
    found = _PEER.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("must be NAME=URL or NAME=URL@PID")
    return found["name"], found["url"], int(found["process"]) if found["process"] else None


def _peer(key: str, name: str, url: str, process: int | None) -> Server:
    return Server(name, url, (key,), process)
