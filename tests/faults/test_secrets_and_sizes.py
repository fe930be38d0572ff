"""Rows 1, 12, 14, 15, 16 and 27: what may not leak, what may not grow, and who cannot be reached."""

import gzip
from pathlib import Path

import orjson
import pytest

from llm_backend.upstream.retries import Retries
from tests.databases import ON_SQLITE
from tests.faults.asking import asked, saying
from tests.faults.conftest import CANARY
from tests.faults.stage import told
from tests.faulty import FaultyUpstream, Repeated, closed_port, error, head
from tests.serving import Running, serving
from tests.upstream.certificates import Certificates

pytestmark = ON_SQLITE

PROMPT_CANARY = "canaryofaprompt7391"


def impatient(running: Running) -> None:
    """Retries come at once: waiting has tests of its own."""
    running.services.upstreams.default.retries = Retries(lambda _least, _most: 0.0)


def rss_mib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20


def written(folder: Path, log: Path) -> list[bytes]:
    """The log, and the files of the database, to the byte."""
    files = [file.read_bytes() for file in folder.glob("test.db*")]
    assert files
    return [log.read_bytes(), *files]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_is_not_there_is_tried_three_times(
    database_url: str, tmp_path: Path, *, stream: bool
) -> None:
    # Row 1
    with closed_port() as port:
        async with serving(database_url, tmp_path, OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1") as running:
            impatient(running)

            answer = await asked(running, stream=stream)

            assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
            assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("1", "false")
            records = await running.records()
    assert [told(record) for record in records] == [("failed", "void", "upstream_unreachable")] * 3
    assert {(record.prompt_tokens, record.cost_microusd) for record in records} == {(0, 0)}


@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong host"])
async def test_a_certificate_that_cannot_be_trusted_is_an_upstream_that_cannot_be_reached(
    database_url: str, tmp_path: Path, fault: str
) -> None:
    # Row 27
    async with (
        FaultyUpstream(tls=Certificates().server(fault)) as upstream,
        serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url) as running,
    ):
        answer = await asked(running)

        assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
        assert upstream.requests == []
        assert [told(record) for record in await running.records()] == [("failed", "void", "upstream_unreachable")]


async def test_the_upstreams_key_is_in_no_answer_no_log_and_no_database(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, written_log: Path
) -> None:
    # Row 12
    words = f"Incorrect API key provided: {CANARY}."
    refusal = error(words, CANARY, CANARY)
    refusal["error"]["param"] = CANARY
    bodies: list[bytes] = []
    async with serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url, OPENAI_API_KEY=CANARY) as running:
        impatient(running)
        asking = saying(PROMPT_CANARY)
        for status in (400, 401, 403, 404, 429, 500):
            for stream in (False, True):
                upstream.forget()
                upstream.answers(refusal, status=status, headers={"x-ratelimit-reset-tokens": "1s", "x-key": CANARY})
                answer = await asked(running, asking, stream=stream)
                assert answer.status == (502 if status in {401, 500} else status)
                bodies += [answer.body, str(answer.headers).encode()]
                if status == 401:
                    assert answer.error["code"] == "upstream_auth_failed"
                    assert answer.headers["x-should-retry"] == "false"
                    assert upstream.requests[0].headers["authorization"] == f"Bearer {CANARY}"
        for items in ((refusal,), ("Hello", refusal), ("Hello", words.encode())):
            upstream.forget()
            upstream.streams(*items)
            bodies.append((await asked(running, asking, stream=True)).body)
        records = await running.records()
        assert ("failed", "void", "upstream_auth_failed") in [told(record) for record in records]

    kept = written(tmp_path, written_log)
    assert b'"request"' in kept[0]
    assert all(CANARY.encode() not in place for place in (*kept, *bodies))
    assert all(PROMPT_CANARY.encode() not in place for place in kept)


BLANKS = gzip.compress(b" " * 2**24)
ENORMOUS = {
    "14 a body": (head(200, content_type="application/json"), Repeated(b"x" * 65536, 16384)),
    "14 a header": (b"HTTP/1.1 200 OK\r\n", Repeated(b"x-endless: " + b"x" * 1011 + b"\r\n", 2**20)),
    "14 one header": (b"HTTP/1.1 200 OK\r\nx-endless: ", Repeated(b"x" * 65536, 16384)),
    "14 an error": (head(500, content_type="application/json"), Repeated(b"x" * 65536, 16384)),
    "15 a line": (head(200, content_type="text/event-stream"), b"data: ", Repeated(b"x" * 65536, 16384)),
    "15 many lines": (head(200, content_type="text/event-stream"), Repeated(b"data: x\n", 2**24)),
    "15 a comment": (head(200, content_type="text/event-stream"), b": ", Repeated(b"x" * 65536, 16384)),
    "16 zipped blanks": (head(200, content_type="application/json", content_encoding="gzip"), BLANKS),
    "16 many zips": (
        head(200, content_type="text/event-stream", content_encoding="gzip"),
        Repeated(gzip.compress(b" "), 10_000),
    ),
}


async def test_whatever_size_an_upstream_offers_memory_stays(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Rows 14, 15 and 16: a gigabyte each, of which at most 16 MiB are read. However slow the machine, the status is not
    # committed before something is known.
    toml = "[limits]\nkeep_alive_seconds = 600\n"
    async with serving(database_url, tmp_path, toml=toml, OPENAI_BASE_URL=upstream.base_url) as running:
        impatient(running)
        before = rss_mib()
        for name, items in ENORMOUS.items():
            for stream in (False, True):
                upstream.forget()
                upstream.raw(*items)
                answer = await asked(running, stream=stream)
                assert answer.status == 502, name
                expected = "upstream_error" if name == "14 an error" else "upstream_invalid_response"
                assert answer.error["code"] == expected, name

        assert rss_mib() - before < 96
        assert len(await running.records()) == 2 * len(ENORMOUS) + 2 * 2


@pytest.mark.parametrize("fault", ["gzip", "gzip-bomb bytes=100000000", "gzip-members", "huge-body", "huge-line"])
async def test_an_enormous_answer_of_the_built_in_model_is_refused_too(running: Running, fault: str) -> None:
    # Rows 14 to 16, above HTTP
    for stream in (False, True):
        answer = await asked(running, saying(f"Hello [[fault {fault}]]"), stream=stream)

        assert answer.status == 502
        assert orjson.loads(answer.body)["error"]["code"] == "upstream_invalid_response"
