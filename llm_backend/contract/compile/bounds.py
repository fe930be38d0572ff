"""How a bound of `spec/limits.yaml` enters a schema.

A rule says for each JSON type what to add: `{string: {maxLength: 9}, array: {maxItems: 3, items: RULE}}`;
`values` in an object's rule is a rule for what the object holds under names of the client's choice.
`array<integer>` is for arrays of that alone, and goes before `array`.
"""

from llm_backend.contract.compile.merging import PREFIX
from llm_backend.contract.compile.unions import members, union
from llm_backend.errors import Json


def bounded(schema: Json, rule: Json, components: dict[str, Json]) -> Json:
    """`schema` with the rule's keywords on each branch of a type that it names; equal to `schema` where none has."""
    branches = list(members(schema))
    changed = [branch_bounded(branch, rule, components) for branch in branches]
    return union(changed) if changed != branches else schema


def branch_bounded(branch: Json, rule: Json, components: dict[str, Json]) -> Json:
    target = branch
    while "$ref" in target:
        target = components[target["$ref"].removeprefix(PREFIX)]
    if len(list(members(target))) > 1:
        inner = bounded(target, rule, components)
        return branch if inner == target else inner
    keywords = rule.get(f"{target.get('type')}<{item_type(target, components)}>", rule.get(target.get("type")))
    if keywords is None or "enum" in target:
        return branch
    found = {**target, **{name: value for name, value in keywords.items() if name not in ("items", "values")}}
    if "items" in keywords:
        found["items"] = bounded(target["items"], keywords["items"], components)
    if "values" in keywords and isinstance(target.get("additionalProperties"), dict):
        found["additionalProperties"] = bounded(target["additionalProperties"], keywords["values"], components)
    return found


def item_type(schema: Json, components: dict[str, Json]) -> str | None:
    items = schema.get("items", {})
    while "$ref" in items:
        items = components[items["$ref"].removeprefix(PREFIX)]
    kind = items.get("type")
    return kind if isinstance(kind, str) else None
