"""What a client is told of its limits, as OpenAI tells it."""

from math import ceil, floor

from llm_backend.storage.buckets import MINUTE_SECONDS, Take, Taken


def rate_headers(taken: Taken) -> dict[str, str]:
    """Limit, what remains and when all of it is there again: of the bucket of each kind that has least left."""
    headers = {}
    for kind in ("requests", "tokens"):
        filled = [(level, take) for take, level in zip(taken.takes, taken.levels, strict=True) if take.kind == kind]
        if filled:
            level, take = min(filled, key=lambda pair: (pair[0], pair[1].capacity))
            headers[f"x-ratelimit-limit-{kind}"] = str(take.capacity)
            headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, floor(level)))
            headers[f"x-ratelimit-reset-{kind}"] = duration(_seconds_until(take.capacity, take, level))
    return headers


def wait_seconds(take: Take, level: float) -> float:
    """How long until `take` fits, where nobody else comes; a slot is free when some request ends: in a second, say."""
    if take.kind == "slots":
        return 1.0 if level < take.amount else 0.0
    return _seconds_until(take.amount, take, level)


def duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1s`, `7.66s`, `6m0s`, `1h0m0s`; rounded up to the millisecond."""
    milliseconds = ceil(round(seconds * 1000, 3))
    if milliseconds < 1000:  # noqa: PLR2004 (below a second)
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _seconds_until(wanted: int, take: Take, level: float) -> float:
    return max(0.0, wanted - level) * MINUTE_SECONDS / take.capacity
