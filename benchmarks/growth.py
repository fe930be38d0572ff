"""What requests cost with much in the database beside little: `python -m benchmarks.growth`. Prints, and never fails.

Of each kind of request some are asked of both servers in turn, by one client, and the CPU of their processes is taken.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks import postgres, processes, servers, telling
from benchmarks.grown import ADMIN_TOKEN, LITTLE, MUCH, SIZES, Client, Grown, completion, grown
from benchmarks.measuring import Report

NS_PER_MS = 1_000_000
STORES = ("SQLite", "PostgreSQL")
PAGE = 20
DEEP = 1_000
"""Rows before the page that is asked for, at most; where there are fewer, the first page is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    name: str
    method: str
    path: Callable[[Grown], str]
    body: Callable[[Grown], bytes | None] = lambda _: None
    is_admins: bool = False


KINDS = (
    Kind("chat completion", "POST", lambda _: "/v1/chat/completions", lambda at: completion(at.size.model)),
    Kind(
        "question to the chat",
        "POST",
        lambda at: f"/api/chats/{at.chat}/messages",
        lambda _: orjson.dumps({"content": "And what did we say last?"}),
    ),
    Kind("one model", "GET", lambda at: f"/v1/models/{at.size.model}"),
    Kind("all models (the answer grows)", "GET", lambda _: "/v1/models"),
    Kind("page of keys", "GET", lambda at: _page(at, f"/api/accounts/{at.account}/keys"), is_admins=True),
    Kind("account", "GET", lambda at: f"/api/accounts/{at.account}", is_admins=True),
    Kind("page of messages", "GET", lambda at: _page(at, f"/api/accounts/{at.account}/chats/{at.chat}/messages"),
         is_admins=True),
    Kind("number of messages", "GET", lambda at: f"/api/chats/{at.chat}/num_messages"),
    Kind("own usage of thirty days", "GET", lambda _: "/api/usage/own?group_by=day,model"),
    Kind("readiness", "GET", lambda _: "/readyz"),
    Kind("explanation of the budget (adds up every record)", "GET", lambda _: f"/api/budget/explain?limit={PAGE}"),
)  # fmt: skip


def _page(at: Grown, path: str) -> str:
    """A page from far down a list, where that is long."""
    client = Client(at.root, ADMIN_TOKEN)
    before = client.ask("GET", f"{path}?limit={DEEP}")
    client.close()
    return f"{path}?limit={PAGE}" + (f"&after={before[-1]['id']}" if len(before) == DEEP else "")


def measure(both: dict[str, Grown], store: str, rounds: int, requests: int, report: Report) -> None:
    """Each kind of request on both servers in turn, and each other round the other way about."""
    for kind in KINDS:
        sys.stderr.write(f"{store}: {kind.name}\n")
        asking = {name: _asking(kind, at, requests) for name, at in both.items()}
        for each in asking.values():
            next(each)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
        for number in range(rounds):
            for name in (LITTLE, MUCH) if number % 2 == 0 else (MUCH, LITTLE):
                found[name].append(next(asking[name]))
        pairs = list(zip(found[LITTLE], found[MUCH], strict=True))
        report.add(kind.name, f"{store}, server", "x", [much[0] / little[0] for little, much in pairs])
        report.add(kind.name, f"{store}, server with much", "ms CPU", [much[0] for _, much in pairs])
        if all(little[1] and much[1] for little, much in pairs):
            report.add(kind.name, f"{store}, database", "x", [much[1] / little[1] for little, much in pairs])


def _asking(kind: Kind, at: Grown, requests: int) -> Iterator[tuple[float, float]]:
    """Of each round the CPU milliseconds per request, of the server and of its database's processes."""
    path, body = kind.path(at), kind.body(at)
    client = Client(at.root, ADMIN_TOKEN if kind.is_admins else at.key)
    try:
        while True:
            before = _cpu(at)
            for _ in range(requests):
                client.ask(kind.method, path, body)
            after = _cpu(at)
            own, databases = (
                processes.spent_ns(*pair) / requests / NS_PER_MS for pair in zip(before, after, strict=True)
            )
            yield own, databases
    finally:
        client.close()


def _cpu(at: Grown) -> tuple[dict[int, int], dict[int, int]]:
    own = processes.cpu_ns(processes.tree(at.server.process or 0))
    name = at.server.database
    return own, processes.cpu_ns(processes.database_backends(name) if name else ())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, as the command line or `arguments` say."""
    told = _parser().parse_args(arguments)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="growth-") as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(servers.upstream(folder / "upstream"))
        for store in told.only or STORES:
            if store == "PostgreSQL" and not postgres.is_reachable(told.postgresql):
                continue
            with ExitStack() as these:
                both = {}
                for size in (LITTLE, MUCH):
                    sys.stderr.write(f"{store}: filled with {size}\n")
                    url = these.enter_context(postgres.database(told.postgresql)) if store == "PostgreSQL" else None
                    running = grown(folder / f"{store}-{size}", upstream.url, SIZES[size], url)
                    both[size] = these.enter_context(running)
                measure(both, store, told.rounds, told.requests, report)
    told.out.write_bytes(telling.document(report))
    sys.stdout.write(telling.table(report) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description="What requests cost in the long run."
    )
    add = parser.add_argument
    add("--only", choices=STORES, action="append", help="one of the databases (default: both)")
    add("--rounds", type=int, default=7, help="of each kind of request (default 7)")
    add("--requests", type=int, default=100, help="of each kind in a round (default 100)")
    add(
        "--postgresql", default=postgres.SERVER, metavar="URL", help="left out where none answers (default %(default)s)"
    )
    add(
        "--out",
        type=Path,
        default=Path("benchmarks/growth.json"),
        help="where the figures go as JSON (default %(default)s)",
    )
    return parser


if __name__ == "__main__":
    main()
