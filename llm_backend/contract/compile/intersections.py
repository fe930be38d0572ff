"""What `allOf` says, in one schema: objects laid over each other."""

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.parameters import resolved
from llm_backend.contract.compile.unions import members, union
from llm_backend.errors import Json


def intersection(first: Json, second: Json, components: dict[str, Json]) -> Json:
    """What both allow; of a property in both, the second's word counts. Raises CompileError where that is not known."""
    if first in ({}, {"type": "object"}):
        return second
    if second in ({}, {"type": "object"}) or first == second:
        return first
    first, second = resolved(first, components), resolved(second, components)
    left, right = list(members(first)), list(members(second))
    if len(left) > 1 or len(right) > 1:
        pairs = [(one, other) for one in left for other in right]
        return union(intersection(one, other, components) for one, other in pairs)
    if first.get("type") != "object" or second.get("type") != "object":
        raise CompileError("an intersection of other things than objects")
    merged: Json = {**first, **second, "properties": {**first.get("properties", {}), **second.get("properties", {})}}
    if required := sorted({*first.get("required", []), *second.get("required", [])}):
        merged["required"] = required
    return merged
