"""Which headers pass this server, and which way: allow-lists, so that a new header of either side stays outside."""

from collections.abc import Mapping

UP = frozenset({"accept", "openai-beta", "x-client-request-id", "user-agent"})
UP_PREFIX = "x-stainless-"
DOWN = frozenset(
    {
        "content-type",
        "content-disposition",
        "openai-processing-ms",
        "openai-version",
        "retry-after",
        "retry-after-ms",
    }
)
DOWN_PREFIX = "x-ratelimit-"


def passed_up(client_headers: Mapping[str, str]) -> dict[str, str]:
    """Of a client's headers those that an upstream may see, lower case; never credentials, cookies or addresses."""
    return {
        key: value
        for name, value in client_headers.items()
        if ((key := name.lower()) in UP or key.startswith(UP_PREFIX)) and _is_sound(name + value)
    }


def passed_down(upstream_headers: Mapping[str, str]) -> dict[str, str]:
    """Of an upstream's headers those that a client may see, lower case; never cookies, locations or hop-by-hop ones.

    A value beyond ASCII is dropped too: not every server could send it.
    """
    return {
        key: value
        for name, value in upstream_headers.items()
        if ((key := name.lower()) in DOWN or key.startswith(DOWN_PREFIX))
        and value.isascii()
        and _is_sound(name + value)
    }


def _is_sound(header: str) -> bool:
    """Whether it cannot break a line: one with a control character is dropped, not repaired."""
    return header.isprintable() or header.replace("\t", "").isprintable()
