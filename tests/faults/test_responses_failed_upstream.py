"""An upstream that says of its own response that it failed: its client is told so, and it is kept as failed."""

import pytest

from llm_backend.errors import Json
from tests.faults.responding import asked, check, ended, kept, saying
from tests.faults.stage import Stage
from tests.faulty import Cut

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILED: Json = {"error": {"code": "server_error", "message": "It broke at 10.0.0.7."}}


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"UPSTREAM_RESPONSES": "native"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_failed_upstream_is_told_and_kept_as_failed(
    stage: Stage,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    failed = ended([], "failed", **FAILED)
    if stream:
        stage.upstream.streams(*saying("native", "Hel", "lo"), failed, Cut)
    else:
        stage.upstream.answers(failed["response"])

    answer = await asked(stage.running, stream=stream)

    assert answer.status == 200
    check(answer)
    assert (answer.response["status"], answer.response["error"]["code"]) == ("failed", "server_error")
    assert answer.text == ("Hello" if stream else "")
    assert [item["status"] for item in answer.response["output"]] == (["incomplete"] if stream else [])
    assert (await kept(stage.running, answer.response["id"])).response == answer.response
    assert len(await stage.records()) == 1
