"""What an operator's monitoring reads: counters of this process, in Prometheus's text form."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters. Labels have few values: operations, statuses, upstreams; never models, keys or accounts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "llm_backend_requests", "Requests answered.", ("operation", "status"), registry=registry
        )
        self.attempts = Counter(
            "llm_backend_upstream_attempts",
            "Calls to an upstream, by how they ended.",
            ("upstream", "status", "error"),
            registry=registry,
        )
        self.tokens = Counter("llm_backend_tokens", "Tokens settled.", ("upstream", "kind", "basis"), registry=registry)
        self.units = Counter(
            "llm_backend_units",
            "Images made, seconds heard and characters spoken, settled.",
            ("upstream", "kind", "basis"),
            registry=registry,
        )
        self.usage_missing = Counter(
            "llm_backend_usage_missing", "Complete answers without usage.", ("upstream",), registry=registry
        )
        self.records_unwritten = Counter(
            "llm_backend_usage_records_unwritten", "Usage records that only the log has.", registry=registry
        )
        self.pending = Gauge(
            "llm_backend_usage_records_pending", "Usage records that wait for the database.", registry=registry
        )
        self.ratelimit_degraded = Gauge(
            "llm_backend_ratelimit_degraded",
            "1 while the shared rate limits do not answer and each process keeps its own.",
            registry=registry,
        )
        self.violations = Gauge(
            "llm_backend_accounting_violations", "What of the books does not agree.", registry=registry
        )
        self.reloads = Counter(
            "llm_backend_settings_reloads",
            "Times that the settings were read again, by what came of it: adopted or refused.",
            ("outcome",),
            registry=registry,
        )
        self.running = Gauge("llm_backend_exchanges_running", "Requests at an upstream now.", registry=registry)

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
