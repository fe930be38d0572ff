"""Which headers pass this server, and which way: allow-lists, so that a new header of either side stays outside."""

from collections.abc import Iterator, Mapping

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
    return {name: value for name, value in _sound(client_headers) if name in UP or name.startswith(UP_PREFIX)}


def passed_down(upstream_headers: Mapping[str, str]) -> dict[str, str]:
    """Of an upstream's headers those that a client may see, lower case; never cookies, locations or hop-by-hop ones.

    A value beyond ASCII is dropped too: not every server could send it.
    """
    return {
        name: value
        for name, value in _sound(upstream_headers)
        if value.isascii() and (name in DOWN or name.startswith(DOWN_PREFIX))
    }


def _sound(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the headers that cannot break a line: a value with a control character is dropped, not repaired."""
    for name, value in headers.items():
        if (name + value).replace("\t", "").isprintable():
            yield name.lower(), value
