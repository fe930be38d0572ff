"""What `/v1/models` says is what may be called: whatever is configured, and whatever the key may name."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as some

from llm_backend.errors import Json
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.models import Model, Target
from tests.serving import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

THERE = ("echo", "a", "ab", "gpt-4")
"""What the upstream lists, and answers to: it refuses every other name."""
NAMES = (*THERE, "abc", "b", "mini", "gpt-4-32k", "gpt-3.5-turbo")
WILD = ("*", "a*", "gpt-*")
NARROW: tuple[tuple[str, ...] | None, ...] = (None, ("a", "gpt-4", "b"), ("ab", "mini", "gpt-3.5-turbo", "echo"))
"""What the keys may name; None: everything."""


@some.composite
def offers(draw: some.DrawFn) -> dict[str, Any]:
    """Models, aliases and a default that fit together, each of which leads to something that is there."""
    named = draw(some.sets(some.sampled_from(NAMES), max_size=4))
    wild = draw(some.sets(some.sampled_from(WILD), max_size=2))
    models = [Model(name, (Target(name=draw(some.sampled_from(THERE))),)) for name in sorted(named)]
    models += [Model(name) for name in sorted(wild)]
    fits = {name for name in THERE if any(model.matches(name) for model in models)}
    leading = sorted(named | fits if models else set(THERE))
    aliases: dict[str, str] = {}
    for alias in draw(some.sets(some.sampled_from(sorted(set(NAMES) - named)), max_size=3)):
        targets = [name for name in leading if name != alias]
        if targets:
            aliases[alias] = draw(some.sampled_from(targets))
    aliases = {alias: name for alias, name in aliases.items() if name not in aliases}
    default = draw(some.none() | some.sampled_from(leading)) if leading else None
    return {"models": models, "aliases": aliases, "default_model": default}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, httpx.AsyncClient, list[str]]]:
    """A server, a client, and a key of each kind."""
    folder = tmp_path_factory.mktemp("models")
    file = shutil.copy(migrated_file, folder / "test.db")
    transport = EchoTransport(Echo(models=THERE[1:]))
    async with serving(f"sqlite:///{file}", folder, transport=transport) as running:
        keys = running.services.keys
        made = [
            await keys.create(running.account_id, f"key {number}", models=None if names is None else list(names))
            for number, names in enumerate(NARROW)
        ]
        async with httpx.AsyncClient(base_url=running.root, timeout=60) as client:
            yield running, client, [key.text for key in made]


@settings(max_examples=40, deadline=None)
@given(offer=offers(), which=some.sampled_from(range(len(NARROW))))
async def test_a_model_is_listed_if_and_only_if_it_may_be_called(
    served: tuple[Running, httpx.AsyncClient, list[str]], offer: Json, which: int
) -> None:
    running, client, keys = served
    running.services.catalogue.adopt(running.services.upstreams, **offer)
    headers = {"authorization": f"Bearer {keys[which]}"}

    listed = {model["id"] for model in (await client.get("/v1/models", headers=headers)).json()["data"]}
    asked = await asyncio.gather(*(_asked(client, headers, name) for name in NAMES))
    shown = await asyncio.gather(*(client.get(f"/v1/models/{name}", headers=headers) for name in NAMES))

    assert set(asked) <= {200, 403, 404}
    assert {name for name, status in zip(NAMES, asked, strict=True) if status == 200} == listed & set(NAMES)
    assert {name for name, answer in zip(NAMES, shown, strict=True) if answer.is_success} == listed & set(NAMES)


async def _asked(client: httpx.AsyncClient, headers: dict[str, str], model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return (await client.post("/v1/chat/completions", json=body, headers=headers)).status_code
