import asyncio
from datetime import date
from typing import Any

import pytest

from llm_backend.errors import (
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    UpstreamFailed,
)
from llm_backend.upstream.models import Model, Sunset, Target
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


async def test_a_wildcard_passes_every_name_that_fits_and_shows_those_that_its_upstream_lists(lister: Lister) -> None:
    other = Lister()
    other.names = ("gpt-5", "gpt-4", "elsewhere")
    wild = [Model("gpt-*", (Target("other 1"),), context_length=9), Model("*"), SMALL]
    async with catalogue(lister, other, models=wild, aliases={"new": "gpt-6"}) as made:
        listed = {model["id"]: model.get("context_length") for model in await made.list()}
        routes = [await made.route(name) for name in ("gpt-6", "new", "elsewhere", "small")]

    assert listed == {"small": 8192, "gpt-5": 9, "gpt-4": 9, "text-embedding-3": None, "small-chat": None, "new": None}
    assert [(route.upstream.name, route.upstream_model, route.configured_name) for route in routes] == [
        ("other 1", "gpt-6", "gpt-*"),
        ("other 1", "gpt-6", "gpt-*"),
        ("main", "elsewhere", "*"),
        ("main", "org/small-7b", "small"),
    ]
    assert [route.is_renamed for route in routes] == [False, True, False, True]


async def test_of_upstreams_that_share_a_wildcard_what_each_of_them_lists_is_shown(lister: Lister) -> None:
    other = Lister()
    other.names = ("gpt-4", "gpt-5")
    both = Model("*", (Target(), Target("other 1")))
    async with catalogue(lister, other, models=[both]) as made:
        assert await ids(made) == ["gpt-4"]
    other.status = "500 Internal Server Error"
    async with catalogue(lister, other, models=[both]) as made:
        assert await ids(made) == list(lister.names)


async def test_an_id_of_chatbot_ui_that_a_wildcard_bears_is_left_alone(lister: Lister) -> None:
    async with catalogue(lister, models=[Model("gpt-4*"), SMALL], default_model="small") as made:
        routes = [await made.route(name) for name in ("gpt-4", "gpt-35-turbo")]

    assert [route.upstream_model for route in routes] == ["gpt-4", "org/small-7b"]


async def test_only_what_may_be_named_is_listed_and_stands_in(lister: Lister) -> None:
    models = [Model("a", fallback=("b", "c")), Model("b"), Model("c")]
    async with catalogue(lister, models=models) as made:
        allowed = {"a", "c"}.__contains__
        plan = await made.plan("a", allowed)
        listed = [model["id"] for model in await made.list(allowed)]
        with pytest.raises(PermissionDenied) as refused:
            await made.plan("b", allowed)
        with pytest.raises(ModelNotFound):
            await made.get("b", allowed)

    assert (refused.value.code, refused.value.param) == ("model_not_allowed", "model")
    assert listed == ["a", "c"]
    assert [plan.route.answering_model, plan.after(Overloaded(), remaining_seconds=1)] == ["a", 0]
    assert [plan.route.answering_model, plan.after(Overloaded(), remaining_seconds=1)] == ["c", None]


async def test_an_end_is_shown_with_the_model_and_its_alias(lister: Lister) -> None:
    old = Model("old", sunset=Sunset(date(2031, 5, 1)))
    async with catalogue(lister, models=[old], aliases={"older": "old"}) as made:
        shown = await made.get("older")

    assert (shown["deprecated"], shown["shutdown_date"], "successor" in shown) == (True, "2031-05-01", False)


async def test_a_list_that_is_still_being_waited_for_comes_though_its_upstream_is_gone(lister: Lister) -> None:
    lister.gate.clear()
    other = Lister()
    async with catalogue(lister, other) as made:
        waiting = asyncio.create_task(made.list())
        await lister.came.wait()
        (_, kept) = made._listings
        made.adopt([kept], models=[], aliases={}, default_model=None)
        lister.gate.set()

        assert "small-chat" in {model["id"] for model in await waiting}
        assert list(made._listings) == [kept]


@pytest.mark.parametrize(
    "options",
    [
        {"models": [Model("m", fallback=("n",))]},
        {"models": [Model("m", (Target("nowhere"),))]},
        {"aliases": {"a": "b", "b": "c"}},
        {"models": [SMALL], "aliases": {"mini": "smal"}},
        {"models": [SMALL], "default_model": "smal"},
    ],
)
async def test_a_name_that_leads_nowhere_is_refused_at_the_start(lister: Lister, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"alias|default|upstream"):
        async with catalogue(lister, **options):
            pass
