"""Who guesses too often is not listened to for a while."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from llm_backend.domain.clock import Clock
from llm_backend.errors import RateLimited

FAILURES = 10
WINDOW_SECONDS = 60.0
REMEMBERED_ADDRESSES = 10_000
HOST_BITS = 64
"""What one host of IPv6 has for itself: all of it counts as one address."""


class Lockout:
    """Counts failures by client address, in memory that does not grow."""

    def __init__(self, clock: Clock, remembered: int = REMEMBERED_ADDRESSES) -> None:
        self._clock = clock
        self._remembered = remembered
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Since when, and how many."""

    def check(self, address: str | None) -> None:
        """Raises RateLimited where too many came from there within the window, whatever is sent now."""
        since, count = self._failures.get(_network(address), (0.0, 0))
        left = since + WINDOW_SECONDS - self._clock.monotonic()
        if count >= FAILURES and left > 0:
            raise RateLimited("Too many wrong tokens came from this address.", retry_after_seconds=int(left) + 1)

    def note(self, address: str | None) -> None:
        """A wrong token came from there."""
        network = _network(address)
        if not network:
            return
        now = self._clock.monotonic()
        since, count = self._failures.pop(network, (now, 0))
        if since + WINDOW_SECONDS <= now:
            since, count = now, 0
        self._failures[network] = since, count + 1
        if len(self._failures) > self._remembered:
            self._failures.popitem(last=False)


def _network(address: str | None) -> str:
    """Who counts as one; empty for whom nothing is counted.

    This machine is none: behind a proxy on it everyone would be, and any stranger could lock the administrator out.
    """
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> HOST_BITS << HOST_BITS))
    return str(parsed)
