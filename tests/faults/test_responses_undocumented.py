"""What an upstream says that no document knows: it goes out, and an operator who wants to know is told where."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.faults.responding import asked, begun, ended
from tests.faulty import Cut, FaultyUpstream
from tests.serving import Running, serving

NEW: Json = {"id": "new_1", "type": "new_call", "secret": "nothing that a log may have"}
EVENTS = (
    begun(),
    {"type": "response.output_item.added", "output_index": 0, "item": NEW},
    {"type": "response.output_item.done", "output_index": 0, "item": NEW},
    ended([NEW]),
)


@pytest.fixture
async def checking(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    """A server that looks at what it tells; by itself it would be wrong that this is not as it should be."""
    url = upstream.base_url
    async with serving(database_url, tmp_path, OPENAI_BASE_URL=url, UPSTREAM_RESPONSES="native") as running:
        yield running
        running.services.metrics.responses_undocumented.reset()


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_is_not_as_documented_goes_out_and_its_place_is_logged(
    checking: Running,
    upstream: FaultyUpstream,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    tell(upstream, stream=stream)

    with structlog.testing.capture_logs() as lines:
        answer = await asked(checking, stream=stream)

    assert answer.status == 200
    assert [item["type"] for item in answer.response["output"]] == ["new_call"]
    found = [line for line in lines if line["event"] == "response_undocumented"]
    assert {line["place"] for line in found} <= {"item.type", "response.output[0].type", "output[0].type"}
    assert "nothing that a log may have" not in str(found)
    counted = checking.services.metrics.responses_undocumented._value.get()
    assert counted == len(found) > 0


@ON_SQLITE
async def test_nobody_looks_unless_asked_to(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> None:
    environment: dict[str, Any] = {"OPENAI_BASE_URL": upstream.base_url, "UPSTREAM_RESPONSES": "native"}
    tell(upstream, stream=True)

    with structlog.testing.capture_logs() as lines:
        async with serving(database_url, tmp_path, RESPONSES_CHECK="off", **environment) as running:
            answer = await asked(running, stream=True)

    assert answer.status == 200
    assert [line for line in lines if line["event"] == "response_undocumented"] == []


def tell(upstream: FaultyUpstream, *, stream: bool) -> None:
    if stream:
        upstream.streams(*EVENTS, Cut)
    else:
        upstream.answers(ended([NEW])["response"])
