"""What an operator's monitoring reads: counters of this process, in Prometheus's text form."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


Labelled = Callable[..., Counter]
"""The counter of a set of labels' values, in their order."""


class Metrics:
    """The counters. Labels have few values: operations, statuses, upstreams; never models, keys or accounts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        labelled = partial(_labelled, self._registry)
        gauge = partial(Gauge, registry=self._registry)
        self.requests = labelled("llm_backend_requests", "Requests answered.", ("operation", "status"))
        self.attempts = labelled(
            "llm_backend_upstream_attempts", "Calls to an upstream, by how they ended.", ("upstream", "status", "error")
        )
        self.tokens = labelled("llm_backend_tokens", "Tokens settled.", ("upstream", "kind", "basis"))
        self.units = labelled(
            "llm_backend_units",
            "Images made, seconds heard and characters spoken, settled.",
            ("upstream", "kind", "basis"),
        )
        self.usage_missing = labelled("llm_backend_usage_missing", "Complete answers without usage.", ("upstream",))
        self.records_unwritten = counter("llm_backend_usage_records_unwritten", "Usage records that only the log has.")
        self.pending = gauge("llm_backend_usage_records_pending", "Usage records that wait for the database.")
        self.responses_undocumented = counter(
            "llm_backend_responses_undocumented",
            "Responses and events that were told and are not as they are documented, where that is looked at.",
        )
        self.ratelimit_degraded = gauge(
            "llm_backend_ratelimit_degraded",
            "1 while the shared rate limits do not answer and each process keeps its own.",
        )
        self.violations = gauge("llm_backend_accounting_violations", "What of the books does not agree.")
        self.reloads = labelled(
            "llm_backend_settings_reloads",
            "Times that the settings were read again, by what came of it: adopted or refused.",
            ("outcome",),
        )
        self.running = gauge("llm_backend_exchanges_running", "Requests at an upstream now.")

    def count(self, operation: str, status: int) -> None:
        """Count an answer to a client."""
        self.requests(operation, str(status)).inc()

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve them on a port of their own, to whoever reaches it; call what is returned to stop. Raises OSError."""
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop

    def text(self) -> bytes:
        """All of them, as Prometheus scrapes them."""
        return generate_latest(self._registry)


def _labelled(registry: CollectorRegistry, name: str, told: str, labels: Sequence[str]) -> Labelled:
    """One that is looked up faster than in the registry, which keeps each as long: each request counts five times."""
    return cache(Counter(name, told, labels, registry=registry).labels)
