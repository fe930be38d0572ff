"""What this server asks for beyond what its client wants: who refuses that is asked without it."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from llm_backend.errors import Json, UpstreamRejected
from llm_backend.upstream.routing import Route
from llm_backend.upstream.wire import Outbound, Reply


class Extra(NamedTuple):
    """One more member of a list in the body."""

    field: str
    member: str
    subject: tuple[str, ...]
    """What refusals of it speak of, in lower case."""

    def is_in(self, body: Mapping[str, Json]) -> bool:
        """Whether the client asks for it itself."""
        return self.member in (body.get(self.field) or ())

    def added(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The body that asks for it too."""
        return {**body, self.field: list(dict.fromkeys([*(body.get(self.field) or ()), self.member]))}

    def is_refused_by(self, refusal: UpstreamRejected) -> bool:
        """Whether it may be what `refusal` is about."""
        if refusal.upstream_status != HTTPStatus.BAD_REQUEST:
            return False
        said = str(refusal).lower()
        return refusal.param == self.field or any(each in said for each in self.subject)


SEALED_THOUGHTS = Extra("include", "reasoning.encrypted_content", ("encrypted content", "encrypted_content"))


async def opened(
    route: Route, extra: Extra | None, body: Mapping[str, Json], outbound: Callable[[Extra | None], Outbound]
) -> Reply:
    """The answer at `route` to what `outbound` makes with the extra, or without. Raises as `Upstream.open`.

    `body`: the client's own wishes. Whoever refuses the extra has made nothing: both are one attempt.
    """
    upstream, model = route.upstream, route.upstream_model
    if extra is None or extra.is_in(body) or upstream.denials.holds(model):
        return await upstream.open(outbound(None))
    try:
        return await upstream.open(outbound(extra))
    except UpstreamRejected as refusal:
        if not extra.is_refused_by(refusal):
            raise
    reply = await upstream.open(outbound(None))
    upstream.denials.note(model)
    return reply
