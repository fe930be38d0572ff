"""Whatever the server says in its log is told to whoever operates it."""

import ast
import re
from pathlib import Path

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def said(source: Path) -> set[str]:
    """The events that a module logs."""
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call) and node.args]
    return {
        first.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS and "log" in ast.unparse(call.func.value)
        for first in [call.args[0]]
        if isinstance(first, ast.Constant) and isinstance(first.value, str)
    }


def test_every_event_of_the_log_is_told_in_the_docs() -> None:
    root = Path(__file__).parent.parent
    events = {event for source in (root / "llm_backend").rglob("*.py") for event in said(source) if " " not in event}
    told = set(re.findall(r"`([a-z_]+)`", (root / "docs" / "operating.md").read_text()))

    assert len(events) > 20
    assert events - told - {"request"} == set()
