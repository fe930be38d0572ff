"""How likely the tokens of a text were: as its part keeps them, and as its events tell them."""

from collections.abc import Iterable

from llm_backend.errors import Json


def kept(entries: Json) -> list[Json]:
    """As a part of a message has them, from a chat's or an event's; entries that are none are left out."""
    return [
        {**_token(entry), "top_logprobs": [_token(top) for top in _those_in(entry.get("top_logprobs"))]}
        for entry in _those_in(entries)
    ]


def told(entries: Iterable[Json]) -> list[Json]:
    """As events have them, from those that `kept` gave: without the bytes."""
    return [{**_bare(entry), "top_logprobs": [_bare(top) for top in entry["top_logprobs"]]} for entry in entries]


def _those_in(entries: Json) -> list[Json]:
    return [entry for entry in entries if _is_token(entry)] if isinstance(entries, list) else []


def _is_token(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("token"), str) and _is_number(entry.get("logprob"))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _token(entry: Json) -> dict[str, Json]:
    """A token always has bytes in a part, though not in a chat."""
    given = entry.get("bytes")
    spelt = given if isinstance(given, list) else list(entry["token"].encode())
    return {"token": entry["token"], "bytes": spelt, "logprob": entry["logprob"]}


def _bare(entry: Json) -> dict[str, Json]:
    return {"token": entry["token"], "logprob": entry["logprob"]}
