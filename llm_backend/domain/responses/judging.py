"""Responses held against the document that promises them, where an operator wants to know."""

from collections.abc import Callable

import structlog

from llm_backend.errors import Json
from llm_backend.metrics import Metrics

FaultIn = Callable[[Json], str | None]
"""Where a response, or an event, is not as it is documented: `output[0].content`. None where it is."""

log = structlog.get_logger("llm_backend.responses")


class Judge:
    """Tells the operator; whatever is wrong goes out all the same."""

    def __init__(self, fault_in: FaultIn, metrics: Metrics) -> None:
        self._fault_in = fault_in
        self._metrics = metrics

    def see(self, told: Json) -> None:
        """Look at a response, or an event. Of one that is wrong the place is written down, and nothing that it says."""
        place = self._fault_in(told)
        if place is not None:
            self._metrics.responses_undocumented.inc()
            log.error("response_undocumented", type=told.get("type", "response"), place=place)
