"""Every exception to the compiler, and the bounds that protect this server: two files of data, applied here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.bounds import bounded
from llm_backend.contract.compile.merging import PREFIX
from llm_backend.contract.compile.names import by_shape, shape
from llm_backend.contract.compile.unions import KNOWN, NULL, members, nullable, union
from llm_backend.contract.policy import read_yaml
from llm_backend.errors import Json

SECTIONS = {
    "alsoAnswered", "alsoJson", "answers", "binary", "events", "notTaken", "openEnums", "openUnions", "operationIds",
    "optional", "pages", "pathParameters",
}  # fmt: skip


@dataclass
class Overlay:
    """`exceptions` is `spec/overlay.yaml`, `limits` is `spec/limits.yaml`.

    With `strict`, a rule that matches nothing is a CompileError: the package has changed under it.
    """

    exceptions: Json
    limits: Json
    strict: bool = True
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if unknown := set(self.exceptions) - SECTIONS:
            raise CompileError(f"the overlay has unknown sections: {sorted(unknown)}")
        self.ids = by_shape(self.exceptions["operationIds"])

    def operation_id(self, key: str) -> str | None:
        found: str | None = self._used("operationIds", shape(key), self.ids.get(shape(key)))
        return found

    @property
    def path_parameters(self) -> dict[str, Json]:
        return dict(self.exceptions["pathParameters"])

    def also_json(self, key: str, form: Json) -> Json:
        """The schema of a form's body as JSON: None where it may not come so, `form` itself where it is alike."""
        if not self._used("alsoJson", key, key in self.exceptions["alsoJson"]):
            return None
        instead = self.exceptions["alsoJson"][key]
        if not instead:
            return form
        changed = {**form["properties"], **instead["properties"]}
        properties = {name: schema for name, schema in changed.items() if schema is not None}
        required = [*(name for name in form.get("required", ()) if name in properties), *instead["required"]]
        return {**form, "properties": properties, "required": sorted(required)}

    def answer(self, key: str) -> Json:
        return self._used("answers", key, self.exceptions["answers"].get(key))

    def binary(self, key: str) -> list[str]:
        """The media types of a binary answer."""
        found = self._used("binary", key, self.exceptions["binary"].get(key))
        return list(found or ["application/octet-stream"])

    def event(self, key: str) -> str:
        found = self._used("events", key, self.exceptions["events"].get(key))
        if not found:
            raise CompileError("a stream class of its own, and the overlay does not name its events")
        return str(found)

    def page(self, name: str) -> Json:
        """The envelope of a page class. Raises CompileError for an unknown one."""
        if name not in self.exceptions["pages"]:
            raise CompileError(f"an unknown page class: {name}")
        return self._used("pages", name, self.exceptions["pages"][name])

    def apply(self, paths: Json, components: dict[str, Json]) -> None:
        """Relax, open and bound the request side, in place. Raises CompileError where a rule matches nothing."""
        requests = {name: schema for name, schema in components.items() if name.startswith("request.")}
        for rule in self.exceptions["optional"]:
            for found in objects(requests):
                self._relax(rule, found)
        for name in self.exceptions["openEnums"]:
            self._properties(requests, "openEnums", name, partial(opened, components=components))
        for name in self.exceptions["openUnions"]:
            self._properties(requests, "openUnions", name, partial(with_other_types, components=components))
        for operation, rules in self.exceptions["notTaken"].items():
            for body in bodies(paths, components, operation):
                self._narrow(operation, body, rules, components)
        self._limit(paths, components, requests)
        self._widen(components)
        self._check()

    def _narrow(self, operation: str, body: Json, rules: Json, components: dict[str, Json]) -> None:
        for name in rules.keys() & body["properties"].keys():
            changed = without_types(body["properties"][name], rules[name], components)
            if changed != body["properties"][name]:
                body["properties"][name] = changed
                self.used.add(f"notTaken {operation}")

    def _limit(self, paths: Json, components: dict[str, Json], requests: dict[str, Json]) -> None:
        for name, rule in self.limits["everywhere"].items():
            self._properties(requests, "everywhere", name, partial(bounded, rule=rule, components=components))
        for operation, rules in self.limits["operations"].items():
            for body in bodies(paths, components, operation):
                for name, rule in rules.items():
                    self._bound(f"{operation}.{name}", body, name, rule, components)
        for operation, rules in self.limits["queries"].items():
            for parameter in parameters(paths, operation):
                self._bound_parameter(operation, parameter, rules, components)

    def _widen(self, components: dict[str, Json]) -> None:
        """Let properties of answers hold what the package does not say of them."""
        for pattern, others in self.exceptions["alsoAnswered"].items():
            for component in [each for each in components if fnmatchcase(each, pattern)]:
                known = components[component].get("properties", {})
                there = self._used("alsoAnswered", pattern, others.keys() & known.keys())
                known |= {name: union([known[name], others[name]]) for name in sorted(there)}

    def _used(self, section: str, key: str, value: Any) -> Any:
        if value:
            self.used.add(f"{section} {key}")
        return value

    def _relax(self, rule: Json, found: Json) -> None:
        properties, required = found["properties"], found.get("required", [])
        if any(properties.get(name, {}).get("enum") != [value] for name, value in rule["where"].items()):
            return
        for name in set(rule["fields"]) & set(required):
            self.used.add(f"optional {rule}")
            properties[name] = nullable(properties[name])
            required.remove(name)
        if "required" in found and not required:
            del found["required"]

    def _properties(
        self, requests: dict[str, Json], section: str, pattern: str, change: Callable[[Json], Json]
    ) -> None:
        for found in objects(requests):
            for name, schema in found["properties"].items():
                if fnmatchcase(name, pattern) and (changed := change(schema)) != schema:
                    found["properties"][name] = changed
                    self.used.add(f"{section} {pattern}")

    def _bound(self, label: str, body: Json, name: str, rule: Json, components: dict[str, Json]) -> None:
        if name in body["properties"]:
            changed = bounded(body["properties"][name], rule, components)
            if changed != body["properties"][name]:
                body["properties"][name] = changed
                self.used.add(f"operations {label}")

    def _bound_parameter(self, operation: str, parameter: Json, rules: Json, components: dict[str, Json]) -> None:
        name = parameter["name"]
        changed = bounded(parameter["schema"], rules.get(name, {}), components)
        if changed != parameter["schema"]:
            parameter["schema"] = changed
            self.used.add(f"queries {operation}.{name}")

    def _check(self) -> None:
        wanted = {f"optional {rule}" for rule in self.exceptions["optional"]}
        wanted |= {f"operationIds {key}" for key in self.ids}
        for section in SECTIONS - {"operationIds", "optional", "pathParameters"}:
            wanted |= {f"{section} {key}" for key in self.exceptions[section]}
        wanted |= {f"everywhere {name}" for name in self.limits["everywhere"]}
        for section in ("operations", "queries"):
            for operation, rules in self.limits[section].items():
                wanted |= {f"{section} {operation}.{name}" for name in rules}
        if self.strict and (unused := sorted(wanted - self.used)):
            raise CompileError(f"these rules of the overlay or of the limits match nothing: {unused}")


def load(folder: Path, *, strict: bool = True) -> Overlay:
    """The two files of `folder`. Raises ContractError where one cannot be read."""
    return Overlay(read_yaml(folder / "overlay.yaml"), read_yaml(folder / "limits.yaml"), strict)


def objects(schemas: Any) -> Iterator[Json]:
    """Every object schema with properties, however deep; the properties may be replaced meanwhile."""
    if isinstance(schemas, list):
        for one in schemas:
            yield from objects(one)
    elif isinstance(schemas, dict):
        if isinstance(schemas.get("properties"), dict) and schemas.get("type") in ("object", ["object", "null"]):
            yield schemas
        for one in list(schemas.values()):
            yield from objects(one)


def bodies(paths: Json, components: dict[str, Json], operation_id: str) -> list[Json]:
    """The object schemas of an operation's body: one, or each of a union."""
    for item in paths.values():
        for operation in item.values():
            if operation["operationId"] == operation_id:
                contents = operation.get("requestBody", {}).get("content", {}).values()
                roots = [flat(content["schema"], components) for content in contents]
                return [body for root in roots for body in root if "properties" in body]
    return []


def parameters(paths: Json, operation_id: str) -> list[Json]:
    """Those of an operation's query."""
    every = (operation for item in paths.values() for operation in item.values())
    found = [each for each in every if each["operationId"] == operation_id]
    return [each for operation in found for each in operation.get("parameters", ()) if each["in"] == "query"]


def flat(schema: Json, components: dict[str, Json]) -> list[Json]:
    """The branches of a union, references followed."""
    found = []
    for branch in members(schema):
        if "$ref" in branch:
            found += flat(components[branch["$ref"].removeprefix(PREFIX)], components)
        else:
            found.append(branch)
    return found


def opened(schema: Json, components: dict[str, Json]) -> Json:
    """Enumerations of text become text that is known to take these values; lists of them alike."""
    changed = []
    for branch in members(schema):
        targets = flat(branch, components)
        if "$ref" in branch and any("properties" in target for target in targets):
            targets = [branch]
        for target in targets:
            if target.get("type") == "string" and "enum" in target:
                changed.append({"type": "string", KNOWN: target["enum"]})
            elif target.get("type") == "array" and "items" in target:
                changed.append({**target, "items": opened(target["items"], components)})
            else:
                changed.append(target)
    return union(changed)


def without_types(schema: Json, types: list[str], components: dict[str, Json]) -> Json:
    """A union of objects told apart by `type`, without those of these types."""

    def is_left(branch: Json) -> bool:
        known = (target.get("properties", {}).get("type", {}).get("enum") for target in flat(branch, components))
        return any(enum is None or set(enum) - set(types) for enum in known)

    branches = [branch for branch in members(schema) if is_left(branch)]
    for index, branch in enumerate(branches):
        if branch.get("type") == "array" and "items" in branch:
            branches[index] = {**branch, "items": without_types(branch["items"], types, components)}
    return union(branches)


def with_other_types(schema: Json, components: dict[str, Json]) -> Json:
    """A union of objects told apart by `type`, and any object of yet another type."""
    branches = list(members(schema))
    for index, branch in enumerate(branches):
        if branch.get("type") == "array" and "items" in branch:
            branches[index] = {**branch, "items": with_other_types(branch["items"], components)}
    known: dict[str, None] = {}
    for target in flat({"anyOf": branches}, components):
        known.update(dict.fromkeys(target.get("properties", {}).get("type", {}).get("enum", ())))
    if known:
        other = {"type": "string", "not": {"enum": [value for value in known if value is not None]}}
        position = branches.index(NULL) if NULL in branches else len(branches)
        branches.insert(position, {"type": "object", "properties": {"type": other}, "required": ["type"]})
    return union(branches)
