"""Counting with a model's own tokenizer, where its table is here."""

import base64
import hashlib
import threading
from pathlib import Path

import pytest
import tiktoken.load
import tiktoken.registry
import tiktoken_ext.openai_public as public  # type: ignore[import-untyped]
from tiktoken import Encoding

from llm_backend.domain import tokenizer
from llm_backend.domain.tokenizer import MOST_BYTES, SLICE_CHARACTERS, TABLES, Folder, Table, Tokenizer

BYTES = {bytes([value]): value for value in range(256)}
ENCODING = Encoding(
    "tiny", pat_str=r"\s?\S+|\s+", mergeable_ranks={**BYTES, b"ab": 256, b"abab": 257}, special_tokens={}
)


class Tiny:
    """Knows one encoding, of two models; lets it be loaded when it is told to."""

    def __init__(self, encoding: Encoding | None = ENCODING) -> None:
        self.may_load = threading.Event()
        self.loads: list[str] = []
        self._encoding = encoding

    def encoding_of(self, model: str) -> str | None:
        return "tiny" if model in {"m", "n"} else None

    def load(self, encoding: str) -> Encoding | None:
        self.loads.append(encoding)
        self.may_load.wait(60)
        return self._encoding


async def warm(sources: Tiny) -> Tokenizer:
    counting = Tokenizer(sources)
    sources.may_load.set()
    await counting.count("m", "")
    await counting.loaded()
    return counting


async def test_nobody_waits_for_a_table_and_it_is_loaded_once() -> None:
    sources = Tiny()
    counting = Tokenizer(sources)

    early = [await counting.count(model, "abab") for model in ("m", "n", "other")]
    sources.may_load.set()
    await counting.loaded()

    assert early == [None, None, None]
    assert [await counting.count(model, "abab x") for model in ("m", "n", "other")] == [3, 3, None]
    assert sources.loads == ["tiny"]


async def test_a_table_that_is_not_here_is_not_looked_for_again() -> None:
    sources = Tiny(None)
    counting = await warm(sources)

    assert await counting.count("m", "abab") is None
    assert sources.loads == ["tiny"]


async def test_a_table_that_cannot_be_read_fails_no_request() -> None:
    class Broken(Tiny):
        def load(self, encoding: str) -> Encoding | None:
            raise OSError(encoding)

    counting = await warm(Broken())

    assert await counting.count("m", "abab") is None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("\ud800", 3),
        ("<|endoftext|>", 13),
        ("ab" * SLICE_CHARACTERS, SLICE_CHARACTERS // 2),
        ("a" * MOST_BYTES, MOST_BYTES),
        ("a" * (MOST_BYTES + 1), None),
        ("\u00fc" * (MOST_BYTES // 2 + 1), None),
    ],
)
async def test_a_text_of_any_shape_is_counted_up_to_a_megabyte(text: str, tokens: int | None) -> None:
    counting = await warm(Tiny())

    assert await counting.count("m", text) == tokens


async def test_a_table_that_is_still_loading_keeps_nobody_from_closing() -> None:
    sources = Tiny()
    counting = Tokenizer(sources)
    await counting.count("m", "")

    await counting.close()

    assert not sources.may_load.is_set()
    sources.may_load.set()


def test_models_are_counted_with_the_encodings_that_tiktoken_names(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    assert [folder.encoding_of(model) for model in ("gpt-4o-mini", "gpt-4", "llama-3", "gpt2")] == [
        "o200k_base",
        "cl100k_base",
        None,
        None,
    ]


def test_our_list_of_tables_is_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Table] = []

    def note(url: str, expected_hash: str) -> dict[bytes, int]:
        seen.append(Table(url, expected_hash))
        return {}

    monkeypatch.setattr(public, "load_tiktoken_bpe", note)
    for name in TABLES:
        public.ENCODING_CONSTRUCTORS[name]()

    assert seen == list(TABLES.values())


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which whoever asks for a table would be noticed."""

    def refuse(blobpath: str) -> bytes:
        raise AssertionError(blobpath)

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("content", [None, b"a table of something else"])
def test_a_table_that_is_missing_or_broken_is_not_fetched(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / TABLES["o200k_base"].file_name
    if content:
        file.write_bytes(content)

    assert Folder(tmp_path).load("o200k_base") is None
    assert file.exists() == (content is not None)


@pytest.mark.usefixtures("unreachable")
def test_a_table_is_read_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"{base64_of(bytes([value]))} {value}\n" for value in range(256)).encode()
    table = Table("https://tables.example/tiny.tiktoken", hashlib.sha256(lines).hexdigest())
    (tmp_path / table.file_name).write_bytes(lines)
    monkeypatch.setattr(tokenizer, "TABLES", {"tiny": table})
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr(tiktoken.registry, "ENCODING_CONSTRUCTORS", {"tiny": lambda: constructed(table)})

    encoding = Folder(tmp_path).load("tiny")

    assert encoding is not None
    assert encoding.encode_ordinary("ab") == [97, 98]


def base64_of(token: bytes) -> str:
    return base64.b64encode(token).decode()


def constructed(table: Table) -> dict[str, object]:
    """As tiktoken's own constructors are written."""
    ranks = tiktoken.load.load_tiktoken_bpe(table.url, expected_hash=table.sha256)
    return {"name": "tiny", "pat_str": r"\S+|\s+", "mergeable_ranks": ranks, "special_tokens": {}}
