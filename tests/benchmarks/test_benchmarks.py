"""Each scenario measures each server, and finds nothing wrong with it."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import asyncpg
import pytest

from benchmarks import flatness, memory, postgres, servers, starting, streams, telling
from benchmarks.__main__ import main
from benchmarks.command import asked
from benchmarks.measuring import Report, carried_out
from benchmarks.plan import Plan
from benchmarks.servers import Server
from tests.databases import SERVERS_ARE_TRIED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what another process has computed")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """The upstream, the bare relay and llm-backend, each in a process of its own."""
    folder = tmp_path_factory.mktemp("servers")
    with (
        servers.upstream(folder / "upstream") as upstream,
        servers.bare_relay(folder / "relay", upstream.url) as relay,
        servers.llm_backend(folder / "sqlite", upstream.url) as ours,
    ):
        yield [upstream, relay, ours]


def test_a_run_tells_each_ratio_and_no_failure(
    measured: list[Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    relay = measured[1]

    peer = f"a peer={relay.url}@{relay.process}"
    code = main(["--quick", "--rounds", "1", "--requests", "16", "--out", str(out), "--peer", peer])

    told = json.loads(out.read_bytes())
    assert (code, told["failures"]) == (0, [])
    ratios = {(figure["whose"], figure["what"]): figure for figure in told["figures"] if figure["unit"] == "x"}
    cpu = {f"CPU per request, {which}" for which in ("1 connection", "16 connections", "64 connections")}
    assert set(ratios) == {(whose, what) for whose in ("llm-backend, SQLite", "a peer") for what in cpu}
    judged = ratios["llm-backend, SQLite", "CPU per request, 16 connections"]
    assert judged["target"] == {"must": 5.5, "goal": 3.0}
    assert judged["median"] > 1
    [disk] = [figure for figure in told["figures"] if figure["whose"] == "the disk"]
    assert len(disk["rounds"]) == 1
    assert disk["median"] > 0
    table = capsys.readouterr().out
    assert "No request failed" in table
    assert "The bare relay takes" in table
    assert judged["verdict"] in table


def test_a_failure_is_told_last_and_ends_the_command_with_1() -> None:
    report = Report(failures=["whole answers, a server: 3 of 800: status 503"])

    assert (Report().exit_code, report.exit_code) == (0, 1)
    assert telling.table(report).endswith("FAILED: whole answers, a server: 3 of 800: status 503")
    assert json.loads(telling.document(report))["failures"] == report.failures


def test_it_is_told_how_fast_the_machine_was_that_seconds_were_measured_on() -> None:
    report = Report()
    report.add("CPU per request, 16 connections", "bare relay", "ms", [0.3, 0.274, 0.1])

    assert "The bare relay takes 0.274 ms here, 2 times the 0.137 ms" in telling.table(report)
    assert "times the" not in telling.table(Report())


@pytest.mark.parametrize(
    "arguments",
    [["--peer", "nobody"], ["--peer", "=http://127.0.0.1"], ["--only", "wholly"], ["--only", "whole", "--quick"]],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_streams_are_measured_chunk_by_chunk(measured: list[Server]) -> None:
    report = Report()
    size = streams.Size(singles=2, unpaced_chunks=5, paced_chunks=3, slow_streams=8)

    streams.measure(measured, 1, size, report)

    assert report.failures == []
    ratios = {figure.what: figure.whose for figure in report.figures if figure.is_ratio}
    assert set(ratios) == {
        "CPU per chunk, 20 unpaced streams",
        "CPU per chunk, 20 streams of 50 chunks/s",
        "CPU per chunk, 8 streams of 50 chunks, 20 ms apart",
        "until all are complete, 8 streams of 50 chunks, 20 ms apart",
    }
    assert set(ratios.values()) == {measured[-1].name}
    assert {figure.unit for figure in report.figures} == {"x", "ms", "µs", "s", "1/s"}
    assert all(value > 0 for figure in report.figures if "added" not in figure.what for value in figure.rounds)


def test_memory_is_measured_of_open_streams(measured: list[Server]) -> None:
    report = Report()

    memory.measure(nullcontext(measured[-1]), memory.Size(16, 8, pace_ms=2), report)

    assert report.failures == []
    told = {figure.what: figure.median for figure in report.figures}
    assert told["after 16 requests, a worker"] > 50
    assert set(told) == {"idle, a worker", "after 16 requests, a worker", "memory of an open stream, 8 at once"}


def test_a_start_is_measured_until_the_first_answer(tmp_path: Path) -> None:
    report = Report()

    starting.measure(tmp_path, "http://127.0.0.1:9/v1", 1, report, {"Python alone": ""})

    told = {(figure.what, figure.unit): figure.median for figure in report.figures}
    assert told["second start, CPU until it answers", "s"] > 0
    assert told["first start, until it answers", "s"] > 0
    assert 0 < told["resident memory", "MB"] < 50


def test_flatness_tells_how_cost_grows(measured: list[Server]) -> None:
    report = Report()

    flatness.measure(measured[-1], measured[1], 30, report, shares=3)

    assert report.failures == []
    told = {figure.what: figure.rounds for figure in report.figures if figure.unit == "MB"}
    assert len(told["resident memory after each 10 requests"]) == 3
    assert len(told["growth of memory with each 10 requests, but the first"]) == 1


def test_where_no_postgresql_answers_none_is_reachable() -> None:
    assert not postgres.is_reachable("postgresql://postgres@127.0.0.1:9/postgres")


@pytest.mark.skipif(not SERVERS_ARE_TRIED, reason="PostgreSQL is tried with SERVERS=1 or CI=true")
def test_of_postgresql_its_own_cpu_is_told_beside(measured: list[Server], tmp_path: Path) -> None:
    with (
        postgres.database(postgres.SERVER) as url,
        servers.llm_backend(tmp_path / "ours", measured[0].url, database_url=url, workers=2, keys=2) as ours,
    ):
        done = carried_out(Plan(ours.url, ours.keys, 4, 16, watched=ours.process, database=ours.database))

    assert (len(set(ours.keys)), done.failures) == (2, {})
    assert done.database_cpu_ms > 0
    assert done.cpu_ms > 0
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        asyncio.run(asyncpg.connect(url))
