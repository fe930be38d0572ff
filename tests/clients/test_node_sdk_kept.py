"""The official Node SDK: what is kept, on every kind of upstream and database."""

from tests.clients.kinds import shared_url, variables
from tests.clients.test_node_sdk import endings, passed, pytestmark
from tests.serving import Running

__all__ = ["pytestmark", "shared_url", "variables"]

CHARGED = ("completed", "reported", None)


async def test_responses_are_answered_and_charged_whole_streamed_and_gone_on_with(platform: Running) -> None:
    await passed("responses", platform)

    assert await endings(platform) == {CHARGED: 6}


async def test_dialogues_run_over_many_turns_in_the_background_and_from_any_event_on(platform: Running) -> None:
    await passed("kept", platform)

    # One was cancelled: it is charged for what came until then, if anything was asked for.
    assert (await endings(platform))[CHARGED] == 52


async def test_chats_are_stored_listed_changed_and_forgotten(platform: Running) -> None:
    await passed("stored", platform)

    assert await endings(platform) == {CHARGED: 2}
