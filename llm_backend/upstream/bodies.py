"""Reading an upstream's answer without letting it decide how much memory that takes."""

from collections.abc import AsyncIterator

from llm_backend.errors import UpstreamInvalid

BODY_LIMIT = 16 * 1024 * 1024
"""The largest whole answer that is read, in bytes."""


async def whole(chunks: AsyncIterator[bytes], limit: int = BODY_LIMIT) -> bytes:
    """All of `chunks` joined. Raises UpstreamInvalid where they pass `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large()
        parts.append(chunk)
    return b"".join(parts)


def bounded(body: bytes, limit: int) -> bytes:
    """`body` itself. Raises UpstreamInvalid where it passes `limit` bytes."""
    if len(body) > limit:
        raise _too_large()
    return body


async def beginning(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Read the first bytes of `chunks`, at least `limit` of them where there are so many; the rest is not read."""
    found = b""
    async for chunk in chunks:
        found += chunk
        if len(found) >= limit:
            break
    return found


def _too_large() -> UpstreamInvalid:
    return UpstreamInvalid("The upstream's answer is too large.", outcome_unknown=True, should_retry=False)
