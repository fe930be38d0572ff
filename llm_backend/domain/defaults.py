"""What a model's configuration says where the client says nothing."""

from collections.abc import Mapping

from llm_backend.domain.bounds import EVERY_CAP
from llm_backend.errors import Json


def completed(body: Json, defaults: Mapping[str, Json]) -> Json:
    """`body` with those of `defaults` that it leaves out; the same body where that is none of them.

    Limits of output are one field under several names: where the client names one, it has said how long.
    """
    if not defaults:
        return body
    said = {name for name, value in body.items() if value is not None}
    said |= EVERY_CAP if said & EVERY_CAP else set()
    missing = {name: value for name, value in defaults.items() if name not in said}
    return {**body, **missing} if missing else body
