"""Embeddings."""

import struct
from base64 import b64decode
from collections.abc import Sequence
from hashlib import shake_256
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.upstream.echo.embeddings import vector
from tests.upstream.echo.asking import Asker, Json


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def embed(ask: Asker, **request: Json) -> Json:
    return (await ask.post("/embeddings", {"model": "echo-embedding"} | request)).json


async def test_equal_texts_are_equal_and_similar_ones_nearer_than_others(ask: Asker) -> None:
    texts = ["the cat sat on the mat", "the cat sat on the mat", "the cat lay on the mat", "stock prices fell today"]

    data = (await embed(ask, input=texts))["data"]

    first, same, similar, other = (item["embedding"] for item in data)
    assert first == same
    assert likeness(first, similar) > 0.7
    assert abs(likeness(first, other)) < 0.5


@settings(deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(1, 300))
def test_every_vector_has_length_one(text: str, size: int) -> None:
    numbers = vector(text, size)

    assert len(numbers) == size
    assert sqrt(likeness(numbers, numbers)) == pytest.approx(1, abs=1e-6)


def test_words_that_cancel_each_other_out_still_have_a_vector() -> None:
    words = {shake_256(word.encode()).digest(1)[0]: word for word in map(str, range(5000))}
    assert len(words) == 256

    assert vector(f"{words[3]} {words[255 - 3]}", 1) == (1.0,)


async def test_a_shorter_vector_points_the_same_way_as_the_beginning_of_a_longer(ask: Asker) -> None:
    short = (await embed(ask, input="Hello", dimensions=3))["data"][0]["embedding"]
    long = (await embed(ask, input="Hello"))["data"][0]["embedding"]

    assert len(long) == 64
    assert likeness(short, long[:3]) == pytest.approx(sqrt(likeness(long[:3], long[:3])))


async def test_base64_carries_the_same_numbers_as_little_endian_floats(ask: Asker) -> None:
    plain = (await embed(ask, input="Hello"))["data"][0]["embedding"]

    packed = (await embed(ask, input="Hello", encoding_format="base64"))["data"][0]["embedding"]

    assert list(struct.unpack("<64f", b64decode(packed))) == plain


@pytest.mark.parametrize(("value", "number", "tokens"), [([5, 6], 1, 2), ([[5], [6, 7]], 2, 3), (["a b", "c"], 2, 3)])
async def test_inputs_of_every_shape_are_counted(ask: Asker, value: Json, number: int, tokens: int) -> None:
    answer = await embed(ask, input=value)

    assert [item["index"] for item in answer["data"]] == list(range(number))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


async def test_faults_and_told_tokens_work_in_an_input(ask: Asker) -> None:
    told = await embed(ask, input="[[tokens prompt=9]] Hello")
    failed = await ask.post("/embeddings", {"model": "echo", "input": "[[fault 503]] Hello", "stream": True})

    assert told["usage"]["prompt_tokens"] == 9
    assert failed.status == 503


@pytest.mark.parametrize("wrong", [{"dimensions": 0}, {"dimensions": "8"}, {"encoding_format": "hex"}])
async def test_a_wrong_setting_is_refused(ask: Asker, wrong: dict[str, Json]) -> None:
    answer = await ask.post("/embeddings", {"model": "echo", "input": "Hello"} | wrong)

    assert answer.status == 400
    assert answer.error["param"] in wrong


async def test_a_fault_of_completions_leaves_embeddings_as_they_are(ask: Asker) -> None:
    plain = await embed(ask, input="one two")

    faulty = await embed(ask, input="[[fault runaway words=2]] one two")

    assert faulty["data"] == plain["data"]
