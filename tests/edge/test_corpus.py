from collections.abc import Iterator

import pytest

from llm_backend.edge.guard import Patience
from llm_backend.edge.server import Server
from llm_backend.edge.serving import ConnectionLimits, Parser, Serving
from tests.edge.corpus import EVERY
from tests.edge.seeds import Seed, head
from tests.edge.small_app import Small
from tests.edge.wire import GOOD, running, wire


@pytest.fixture(scope="module", params=["httptools", "h11"])
def served(request: pytest.FixtureRequest) -> Iterator[Server]:
    parser: Parser = request.param
    limits = ConnectionLimits(linger_seconds=0.2)
    small = Small(patience=Patience(linger_seconds=0.2))
    small.release.set()
    with running(small, Serving(port=0, parser=parser, limits=limits)) as server:
        yield server


def test_the_corpus_is_large_enough() -> None:
    assert len(EVERY) >= 100


@pytest.mark.parametrize("seed", EVERY.values(), ids=EVERY)
def test_every_seed_is_answered_in_order_and_the_server_lives_on(served: Server, seed: Seed) -> None:
    with wire(served.port) as client:
        client.send(seed.raw)

        answer = client.answer(method="HEAD" if seed.raw.startswith(b"HEAD") else "GET")

        assert answer.status in seed.statuses
        if answer.status >= 400 and not seed.raw.startswith(b"HEAD"):
            assert answer.error()["type"] == ("server_error" if answer.status >= 500 else "invalid_request_error")
        if answer.status == 405:
            assert "GET" in answer.header("allow") or "POST" in answer.header("allow")
        assert answer.header("x-request-id").startswith("req_")
        assert answer.header("openai-version") == "2020-10-01"
        assert "server" not in answer.headers
        if b" HTTP/1.0\r" in seed.raw:
            assert "transfer-encoding" not in answer.headers
        if seed.closes:
            assert client.rest() == b""
    with wire(served.port) as client:
        client.send(GOOD)
        assert client.answer().status == 200


def test_an_answer_of_unknown_length_to_http_1_0_is_whole_and_ends_with_the_connection(served: Server) -> None:
    with wire(served.port) as client:
        client.send(head("GET /v1/stream HTTP/1.0"))

        answer = client.answer()

        assert not answer.headers.keys() & {"transfer-encoding", "content-length"}
        assert answer.body == b"data: first\n\ndata: last\n\n"
