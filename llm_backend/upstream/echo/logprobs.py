"""Log probabilities that look like some and are always the same."""

from collections.abc import Iterator, Sequence
from zlib import crc32

from llm_backend.errors import Json

_MOST = 20


def chat_logprobs(content: Sequence[str], top: int) -> Json:
    """For each token its own, and `top` (at most 20) alternatives, itself the first."""
    return {
        "content": [_entry(token) | {"top_logprobs": _alternatives(token, top)} for token in content],
        "refusal": None,
    }


def text_logprobs(tokens: Sequence[str], top: int, start: int) -> Json:
    """The legacy shape; offsets in characters, the first of them `start`."""
    return {
        "tokens": list(tokens),
        "token_logprobs": [_logprob(token) for token in tokens],
        "top_logprobs": [{entry["token"]: entry["logprob"] for entry in _alternatives(token, top)} for token in tokens],
        "text_offset": list(_offsets(tokens, start)),
    }


def _offsets(tokens: Sequence[str], start: int) -> Iterator[int]:
    for token in tokens:
        yield start
        start += len(token)


def _alternatives(token: str, top: int) -> list[Json]:
    others = [_entry(f"{token}~{rank}", _logprob(token) - rank) for rank in range(1, min(top, _MOST))]
    return [_entry(token), *others] if top > 0 else []


def _entry(token: str, logprob: float | None = None) -> dict[str, Json]:
    value = _logprob(token) if logprob is None else logprob
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


def _logprob(token: str) -> float:
    """Between 0 and -1, in thousandths."""
    return -(crc32(token.encode()) % 1000) / 1000
