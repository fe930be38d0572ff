from typing import Any

import pytest

from llm_backend.errors import (
    InvalidRequest,
    ModelNotFound,
    UpstreamFailed,
)
from llm_backend.upstream.models import Model, Target
from tests.upstream.listers import Lister, catalogue, ids

SMALL = Model("small", (Target(name="org/small-7b"),), context_length=8192, max_output_tokens=1024)
LARGE = Model("large")


async def test_the_upstreams_list_is_shown_with_chatbot_uis_ids(lister: Lister) -> None:
    async with catalogue(lister) as made:
        assert await ids(made) == [
            "text-embedding-3",
            "small-chat",
            "gpt-4",
            "gpt-3.5-turbo",
            "gpt-35-turbo",
            "gpt-4-32k",
        ]


async def test_an_alias_answers_under_its_own_name(lister: Lister) -> None:
    async with catalogue(lister) as made:
        route = await made.route("gpt-3.5-turbo")
        shown = await made.get("gpt-3.5-turbo")

    assert (route.upstream_model, route.public_model, route.is_renamed) == ("small-chat", "gpt-3.5-turbo", True)
    assert shown == {"id": "gpt-3.5-turbo", "object": "model", "created": 7, "owned_by": "them"}


async def test_an_id_of_chatbot_ui_that_the_upstream_has_is_left_alone(lister: Lister) -> None:
    async with catalogue(lister, default_model="small-chat") as made:
        route = await made.route("gpt-4")

    assert (route.upstream_model, route.is_renamed) == ("gpt-4", False)


async def test_the_default_model_stands_in_before_any_other(lister: Lister) -> None:
    async with catalogue(lister, default_model="tuned") as made:
        assert (await made.route("gpt-4-32k")).upstream_model == "tuned"
        assert "tuned" in await ids(made)


async def test_echo_stands_in_where_it_is_served(lister: Lister) -> None:
    lister.names = ("a-chat", "echo")
    async with catalogue(lister) as made:
        assert (await made.route("gpt-4")).upstream_model == "echo"


async def test_nothing_stands_in_where_nothing_chats(lister: Lister) -> None:
    lister.names = ("text-embedding-3", "whisper-1", "tts-1", "dall-e-3", "omni-moderation")
    async with catalogue(lister) as made:
        assert await ids(made) == list(lister.names)
        assert not (await made.route("gpt-4")).is_renamed


async def test_any_other_model_is_passed_on_without_asking_for_the_list(lister: Lister) -> None:
    async with catalogue(lister, aliases={"mini": "small-chat"}) as made:
        route = await made.route("ft:unlisted")
        short = await made.route("mini")

    assert (route.upstream_model, route.model) == ("ft:unlisted", None)
    assert (short.upstream_model, short.public_model) == ("small-chat", "mini")
    assert lister.asked == 0


async def test_of_several_upstreams_each_answers_for_what_it_lists(lister: Lister) -> None:
    other = Lister()
    other.names = ("gpt-4", "large-chat")
    async with catalogue(lister, other) as made:
        listed = await ids(made)
        routes = [await made.route(name) for name in ("gpt-4", "large-chat", "ft:unlisted")]

    assert listed[:4] == ["text-embedding-3", "small-chat", "gpt-4", "large-chat"]
    assert [(route.upstream.name, route.upstream_model) for route in routes] == [
        ("main", "gpt-4"),
        ("other 1", "large-chat"),
        ("main", "ft:unlisted"),
    ]


async def test_a_list_that_is_away_takes_no_other_with_it(lister: Lister) -> None:
    other = Lister()
    lister.status, other.names = "500 Internal Server Error", ("large-chat",)
    async with catalogue(lister, other) as made:
        assert "large-chat" in await ids(made)
        other.status = "500 Internal Server Error"
    async with catalogue(lister, other) as made:
        with pytest.raises(UpstreamFailed):
            await made.list()


async def test_an_unlisted_model_is_not_shown(lister: Lister) -> None:
    async with catalogue(lister) as made:
        with pytest.raises(ModelNotFound) as caught:
            await made.get("ft:unlisted")

    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "a\x00b", "\ud800"])
async def test_what_can_be_no_name_is_refused_before_the_upstream_sees_it(lister: Lister, name: str) -> None:
    async with catalogue(lister) as made:
        with pytest.raises(InvalidRequest) as caught:
            await made.route(name)
        with pytest.raises(ModelNotFound):
            await made.get(name)

    assert caught.value.param == "model"


async def test_configured_models_are_all_there_is(lister: Lister) -> None:
    async with catalogue(lister, models=[SMALL, LARGE], aliases={"mini": "small"}) as made:
        assert await ids(made) == ["small", "large", "mini"]
        route = await made.route("mini")
        for name in ("gpt-4", "other", "org/small-7b"):
            with pytest.raises(ModelNotFound):
                await made.route(name)

    assert (route.upstream_model, route.public_model, route.model) == ("org/small-7b", "mini", SMALL)
    assert lister.asked == 0


async def test_what_is_listed_is_what_may_be_called(lister: Lister) -> None:
    async with catalogue(lister, models=[SMALL, LARGE], aliases={"mini": "small"}, default_model="mini") as made:
        for name in await ids(made):
            assert (await made.route(name)).public_model == name
            assert (await made.get(name))["id"] == name
        assert (await made.route("gpt-4")).upstream_model == "org/small-7b"


async def test_a_configured_model_shows_its_sizes(lister: Lister) -> None:
    async with catalogue(lister, models=[SMALL]) as made:
        assert await made.get("small") == {
            "id": "small",
            "object": "model",
            "created": 0,
            "owned_by": "main",
            "context_length": 8192,
            "max_output_tokens": 1024,
        }


@pytest.mark.parametrize(
    "options",
    [
        {"aliases": {"a": "b", "b": "c"}},
        {"models": [SMALL], "aliases": {"mini": "smal"}},
        {"models": [SMALL], "default_model": "smal"},
    ],
)
async def test_a_name_that_leads_nowhere_is_refused_at_the_start(lister: Lister, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"alias|default"):
        async with catalogue(lister, **options):
            pass
