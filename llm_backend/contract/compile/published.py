"""From OpenAI's published document to the same facts: no prose, no bounds, our ids and tags."""

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.document import METHODS, finished, operations
from llm_backend.contract.compile.intersections import intersection
from llm_backend.contract.compile.merging import PREFIX
from llm_backend.contract.compile.names import camel, operation_id, shape, tag
from llm_backend.contract.compile.overlay import Overlay
from llm_backend.contract.compile.parameters import header_parameter, path_parameters, query_parameter, resolved
from llm_backend.contract.compile.sites import Site, read_package
from llm_backend.contract.compile.unions import not_null, nullable, union
from llm_backend.errors import Json

KEPT = {"format", "items", "properties", "required"}
DROPPED = {
    "$recursiveAnchor", "default", "deprecated", "description", "discriminator", "example", "examples",
    "exclusiveMaximum", "exclusiveMinimum", "max_items", "maxItems", "maxLength", "maxProperties", "maximum",
    "min_items", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "optional", "pattern",
    "propertyNames", "title", "uniqueItems",
}  # fmt: skip
"""Prose, and ranges that are the upstream's business; ours come from the limits."""
STRUCTURE = {
    "$ref",
    "$recursiveRef",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "nullable",
    "oneOf",
    "type",
}
JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


class Reader:
    """Rewrites the schemas of one side, component by component, as they are asked for."""

    def __init__(self, side: str, source: dict[str, Json]) -> None:
        self.side = side
        self.source = source
        self.components: dict[str, Json] = {}
        self.current: list[str] = []

    def reference(self, name: str) -> Json:
        full = f"{self.side}.{name}"
        if full not in self.components:
            if name not in self.source:
                raise CompileError(f"no component is called {name}")
            self.components[full] = {}
            self.current.append(name)
            self.components[full] = self.schema(self.source[name])
            self.current.pop()
        return {"$ref": PREFIX + full}

    def schema(self, source: Json) -> Json:
        """Raises CompileError on a keyword that is neither kept nor known to be dropped."""
        if unknown := {key for key in source if not key.startswith("x-")} - KEPT - DROPPED - STRUCTURE:
            raise CompileError(f"unknown keywords {sorted(unknown)} in {'.'.join(self.current)}")
        found = self.unnamed(source)
        return nullable(found) if source.get("nullable") is True else found

    def unnamed(self, source: Json) -> Json:
        if "$ref" in source:
            return self.reference(str(source["$ref"]).removeprefix(PREFIX))
        if "$recursiveRef" in source:
            return self.reference(self.current[-1])
        for keyword in ("oneOf", "anyOf"):
            if keyword in source:
                branches = union(self.schema(branch) for branch in source[keyword])
                rest = self.plain({key: value for key, value in source.items() if key != keyword})
                return self.both(rest, branches) if "properties" in rest else branches
        if "allOf" in source:
            found = self.plain({key: value for key, value in source.items() if key != "allOf"})
            for branch in source["allOf"]:
                found = self.both(found, self.schema(branch))
            return found
        return self.plain(source)

    def both(self, first: Json, second: Json) -> Json:
        try:
            return intersection(first, second, self.components)
        except CompileError as error:
            raise CompileError(f"{error} in {'.'.join(self.current)}") from error

    def plain(self, source: Json) -> Json:
        """A schema of one type, or of a list of types."""
        kinds = source.get("type", [])
        values = [source["const"]] if "const" in source else source.get("enum")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if values is not None and not kinds:
            kinds = sorted({JSON_TYPES[type(value)] for value in values if value is not None})
        if not kinds and "properties" in source:
            kinds = ["object"]
        if not kinds:
            return {}
        return union(self.one_kind(kind, source, values) for kind in kinds)

    def one_kind(self, kind: str, source: Json, values: list[Json] | None) -> Json:
        found: Json = {"type": kind}
        if values is not None and kind != "null":
            found["enum"] = [value for value in values if value is not None]
            if None in values:
                found = nullable(found)
        if kind == "string" and "format" in source:
            found["format"] = source["format"]
        if kind == "array" and "items" in source:
            found["items"] = self.schema(source["items"])
        if kind == "object":
            found |= self.object(source)
        return found

    def object(self, source: Json) -> Json:
        found: Json = {}
        required = source.get("required", [])
        if "properties" in source:
            found["properties"] = {
                name: self.property(name, one, required) for name, one in source["properties"].items()
            }
        if required:
            found["required"] = sorted(required)
        if isinstance(source.get("additionalProperties"), dict):
            found["additionalProperties"] = self.schema(source["additionalProperties"])
        return found

    def property(self, name: str, source: Json, required: list[str]) -> Json:
        schema = self.schema(source)
        return schema if name in required or self.side == "answer" else nullable(schema)


class Published:
    """Operations of the published document, with what the package's sites know of the same requests."""

    def __init__(self, source: Json, overlay: Overlay, sites: list[Site]) -> None:
        self.source = source
        self.overlay = overlay
        self.sites = {shape(site.key): site for site in sites}
        self.requests = Reader("request", source["components"]["schemas"])
        self.answers = Reader("answer", source["components"]["schemas"])

    def operation(self, verb: str, path: str, source: Json) -> tuple[str, Json]:
        """The path under our parameter names, and the operation."""
        site = self.sites.get(shape(f"{verb} {path}"))
        ours = site.path if site else path
        found: Json = {
            "operationId": self.name(site, source),
            "tags": [tag(site.resource) if site else path.split("/")[1]],
            "parameters": self.parameters(ours, source.get("parameters", [])),
            "responses": self.responses(site, source["responses"]),
        }
        if "requestBody" in source:
            found["requestBody"] = self.body(f"{verb} {ours}", source["requestBody"])
        if site and site.streamed:
            parameter = site.streamed if isinstance(site.streamed, str) else None
            found["x-stream"] = {"parameter": parameter, "enveloped": site.enveloped}
        if source.get("deprecated"):
            found["deprecated"] = True
        return ours, found

    def left_out(self, paths: Json) -> list[str]:
        """The ids of what the package knows and the document does not have (yet, or any more)."""
        had = {found["operationId"] for item in paths.values() for found in item.values()}
        return sorted({self.name(site, {}) for site in self.sites.values()} - had)

    def name(self, site: Site | None, source: Json) -> str:
        if site is None:
            return camel(source["operationId"])
        return self.overlay.operation_id(site.key) or operation_id(site.resource, site.method, site.path)

    def parameters(self, path: str, sources: list[Json]) -> list[Json]:
        found = path_parameters(path.partition("?")[0], self.overlay.path_parameters)
        for source in sources:
            name = source["name"].removesuffix("[]")
            if source["in"] == "header":
                found.append(header_parameter(name.lower()))
            elif source["in"] == "query" and not path.endswith(f"?{name}=true"):
                schema = not_null(resolved(self.requests.schema(source["schema"]), self.requests.components))
                required = source.get("required", False)
                found += query_parameter(name, schema, required=required, components=self.requests.components)
        return found

    def body(self, key: str, source: Json) -> Json:
        content = {media: {"schema": self.requests.schema(one["schema"])} for media, one in source["content"].items()}
        form = content.get("multipart/form-data", {}).get("schema")
        if form and self.overlay.also_json(key, resolved(form, self.requests.components)) is not None:
            content.setdefault("application/json", {"schema": form})
        return {"required": source.get("required", True), "content": content}

    def responses(self, site: Site | None, sources: Json) -> Json:
        status = next(status for status in sources if status.startswith("2"))
        content = {
            media: {"schema": self.answers.schema(one.get("schema", {}))}
            for media, one in sources[status].get("content", {}).items()
        }
        if site and site.streamed:
            content.setdefault("text/event-stream", {"schema": {"type": "object"}})
        found: Json = {"description": "OK"}
        return {status: {**found, "content": content} if content else found}


def compile_published(source: Json, overlay: Overlay) -> Json:
    """The document of OpenAI's published one. Raises CompileError on anything not known."""
    if not isinstance(source, dict) or not str(source.get("openapi", "")).startswith("3.1"):
        raise CompileError("this is no OpenAPI 3.1 document")
    if missing := {"components", "info", "paths"} - source.keys():
        raise CompileError(f"the document has no {' and no '.join(sorted(missing))}")
    published = Published(source, overlay, operations(read_package()))
    paths: Json = {}
    for path, item in source["paths"].items():
        for method in METHODS:
            if method in item:
                ours, found = published.operation(method.upper(), path, item[method])
                paths.setdefault(ours, {})[method] = found
    components = {**published.requests.components, **published.answers.components}
    document = finished(paths, components, overlay, str(source["info"]["version"]))
    return document | {"x-left-out": published.left_out(document["paths"])}
