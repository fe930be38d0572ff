"""The official Python SDK, the last 2.x: responses, on every kind of upstream and database."""

from tests.clients.kinds import shared_url, variables
from tests.clients.test_sdk2 import SHARED, printed, pytestmark
from tests.serving import Running

__all__ = ["pytestmark", "shared_url", "variables"]


@SHARED
async def test_responses_are_answered_kept_gone_on_with_and_forgotten(platform: Running) -> None:
    got = await printed("kept", platform)

    assert got == {
        "created": ["one two", True, {"topic": "trees"}],
        "streamed": [["one", " two"], "one two"],
        "parsed": {"country": "Paris", "city": "Paris"},
        "tools": [["function_call", "custom_tool_call"], True],
        "called": [
            [
                *("output_item.added", "function_call_arguments.done", "output_item.done"),
                *("output_item.added", "custom_tool_call_input.done", "output_item.done"),
            ],
            ["get_weather"],
        ],
        "listed": ["0", "1", "2", "3", "4"],
        "conversed": [["zero", "one", "one", "two", "two"], True],
        "resumed": [True, True],
        "forgotten": ["cancelled", "response_id"],
    }
