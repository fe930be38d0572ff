"""Reports and explanations on their way: from a query to what it asks for, and as JSON or CSV."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_backend.domain.explanations import Entry, Explanation, Running, Sum
from llm_backend.domain.reports import Period, Report, Used, Wanted, columns, row
from llm_backend.domain.spreadsheets import csv_lines
from llm_backend.edge.accounts import MOMENT
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import InvalidRequest, Json

USUAL_ROWS = 1_000
CSV_HEADERS = {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": 'attachment; filename="usage.csv"',
    "cache-control": "no-store",
}

_NAMED = re.compile(r"\s*([^\s,;]+)[^,]*")


async def reported(call: Call, wanted: Wanted) -> Response:
    """What the call asks for, a page of it as JSON or all of it as CSV. Raises InvalidRequest."""
    if _as_csv(call):
        chunks = call.services.reports.chunks(wanted)
        # Read before the status is sent: until then a fault of the database can be said.
        first: list[Used] = await anext(chunks, [])
        return CsvStream(_csv(wanted, first, chunks))
    after = call.arguments.get("after")
    limit = call.arguments.get("limit", USUAL_ROWS)
    report = await call.services.reports.page(wanted, limit, None if after is None else _values(after))
    return json_reply(_report(wanted, report))


def wanted(call: Call, *usual: str, account_id: int | None) -> Wanted:
    """What the call's query asks of the account, or of everyone; grouped as `usual` where it does not say."""
    asked = call.arguments
    return Wanted(
        tuple(asked.get("group_by", usual)),
        Period(asked.get("from"), asked.get("to")),
        account_id,
        asked.get("key_id"),
        asked.get("user"),
        asked.get("model"),
    )


def explained(account_id: int, found: list[Explanation]) -> Json:
    """An account's budgets, each with its lines."""
    return {
        "account_id": account_id,
        "agrees": all(each.agrees for each in found),
        "budgets": [_explanation(each) for each in found],
    }


class CsvStream(Response):
    """Lines of unknown number, as they are read."""

    def __init__(self, blocks: AsyncIterator[str]) -> None:
        super().__init__(None, 200, CSV_HEADERS)
        # Starlette would declare it empty.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._blocks = blocks

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for block in self._blocks:
            await send({"type": "http.response.body", "body": block.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _as_csv(call: Call) -> bool:
    """`format` decides, and where it says nothing, which of the two the client accepts."""
    named = call.arguments.get("format")
    accepted = {found[1].lower() for found in _NAMED.finditer(call.headers.get("accept", ""))}
    return named == "csv" or (named is None and "text/csv" in accepted and "application/json" not in accepted)


async def _csv(wanted: Wanted, first: list[Used], rest: AsyncIterator[list[Used]]) -> AsyncIterator[str]:
    names = columns(wanted.groups)
    yield csv_lines([names]) + _lines(wanted, first)
    async for chunk in rest:
        yield _lines(wanted, chunk)


def _lines(wanted: Wanted, chunk: list[Used]) -> str:
    return csv_lines(list(row(wanted.groups, each).values()) for each in chunk)


def _report(wanted: Wanted, report: Report) -> Json:
    return {
        "from": report.scope.first.isoformat(),
        "to": report.scope.last.isoformat(),
        "group_by": list(wanted.groups),
        "data": [row(wanted.groups, each) for each in report.rows],
        "total": report.total,
        "has_more": report.has_more,
        "next": _cursor(report.rows[-1].values) if report.has_more else None,
    }


def _cursor(values: tuple[Json, ...]) -> str:
    plain = [value.isoformat() if isinstance(value, date) else value for value in values]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).rstrip(b"=").decode()


def _values(cursor: str) -> list[Json]:
    try:
        values = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list):
        raise InvalidRequest("'after' is no cursor of a report.", param="after")
    return values


def _explanation(found: Explanation) -> Json:
    period, earlier = found.period, found.earlier
    return {
        "subject": found.budget.subject,
        "renewal": found.budget.renewal,
        "starts_at": _written(period.starts_at) if period else None,
        "ends_at": _written(period.ends_at) if period and period.ends_at else None,
        "tokens": {"limit": found.limit("token_limit"), "carried_over": found.carried_over("token_limit")},
        "microusd": {"limit": found.limit("microusd_limit"), "carried_over": found.carried_over("microusd_limit")},
        "earlier": {"records": earlier.rows, "tokens": earlier.tokens, "cost_microusd": earlier.microusd},
        "lines": [_line(entry, sums) for entry, sums in found.lines],
        "reservations": {"count": found.held.rows, "data": [_running(each) for each in found.running]},
        "stored": found.stored,
        "derived": found.derived,
        "agrees": found.agrees,
    }


def _line(entry: Entry, sums: Sum) -> Json:
    return {
        "attempt_id": entry.attempt_id,
        "kind": entry.kind,
        "request_id": entry.request_id,
        "at": _written(entry.ended_at),
        "key_id": entry.key_id,
        "model": entry.model,
        "basis": entry.basis,
        "overrun": entry.overrun,
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "total_tokens": entry.total_tokens,
        "images": entry.images,
        "seconds": entry.seconds,
        "characters": entry.characters,
        "cost_microusd": entry.cost_microusd,
        "used_tokens": sums.tokens,
        "used_microusd": sums.microusd,
    }


def _running(found: Running) -> Json:
    return {
        "attempt_id": found.attempt_id,
        "key_id": found.key_id,
        "state": found.state,
        "at": _written(found.created_at),
        "lease_until": _written(found.lease_until),
        "reserved_tokens": found.reserved_tokens,
        "reserved_microusd": found.reserved_microusd,
    }


def _written(when: datetime) -> str:
    return when.astimezone(UTC).strftime(MOMENT)
