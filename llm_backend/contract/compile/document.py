"""Assembly: from the package's sites to one OpenAPI 3.1 document."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any, get_args

import orjson
from openai._legacy_response import HttpxBinaryResponseContent

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.merging import PREFIX, merge_equal, reachable
from llm_backend.contract.compile.names import operation_id, rank, tag
from llm_backend.contract.compile.overlay import Overlay
from llm_backend.contract.compile.parameters import header_parameter, path_parameters, query_parameter
from llm_backend.contract.compile.schemas import Walker, is_typed_dict, open_object
from llm_backend.contract.compile.sites import Fields, Site, read_package
from llm_backend.contract.compile.unions import union
from llm_backend.errors import Json

BINARY: Json = {"type": "string", "format": "binary"}
STREAM_FLAG: Json = {"type": ["boolean", "null"]}
METHODS = ("delete", "get", "patch", "post", "put")


def operations(sites: Iterable[Site]) -> list[Site]:
    """One site per operation, in the order of path and method."""
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault(site.key, []).append(site)
    chosen = [
        min(group, key=lambda site: rank(site.resource, site.method, deprecated=site.deprecated))
        for group in groups.values()
    ]
    return sorted(chosen, key=lambda site: (site.path, site.verb))


def variants(fields: Fields) -> Iterator[Any]:
    """The typed dictionaries of a body, unions taken apart."""
    for kind in fields.types:
        for member in (kind,) if is_typed_dict(kind) else get_args(kind):
            if not is_typed_dict(member):
                raise CompileError(f"a body or query that is no typed dictionary: {member!r}")
            yield member


class Assembly:
    """Turns sites into operations and collects the components that they need."""

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.requests = Walker("request")
        self.answers = Walker("answer")

    @property
    def components(self) -> dict[str, Json]:
        return {**self.requests.components, **self.answers.components}

    def operation(self, site: Site) -> Json:
        """Raises CompileError with the place in the package, whatever was wrong."""
        try:
            name = self.overlay.operation_id(site.key) or operation_id(site.resource, site.method, site.path)
            found: Json = {
                "operationId": name,
                "tags": [tag(site.resource)],
                "parameters": self.parameters(site),
                "responses": {"200": self.answer(site, name)},
                "x-sdk": ".".join([*site.resource, site.method]),
            }
            if site.body:
                found["requestBody"] = self.body(site, site.body, name)
        except CompileError as error:
            raise CompileError(f"{site.where}: {error}") from error
        if site.streamed:
            found["x-stream"] = {"parameter": site.streamed if isinstance(site.streamed, str) else None}
            found["x-stream"]["enveloped"] = site.enveloped
        if site.deprecated:
            found["deprecated"] = True
        return found

    def parameters(self, site: Site) -> list[Json]:
        found = path_parameters(site.path.partition("?")[0], self.overlay.path_parameters)
        if site.query:
            schema = self.fields(self.requests, site.query)
            for name, one in schema["properties"].items():
                required = name in schema.get("required", ())
                found += query_parameter(name, one, required=required, components=self.requests.components)
        return found + [header_parameter(name) for name in site.headers]

    def fields(self, walker: Walker, fields: Fields) -> Json:
        """One object, or several that differ in more than the stream flag."""
        kinds = list(variants(fields))
        for key in fields.keys:
            if not any(key in kind.__annotations__ for kind in kinds):
                raise CompileError(f"{key} is sent, but in none of its types")
        schemas = [walker.dictionary(kind, fields.keys) for kind in kinds]
        if len(schemas) > 1:
            schemas = [one_flag(schema) for schema in schemas]
        return union(schemas)

    def body(self, site: Site, fields: Fields, name: str) -> Json:
        schema = self.fields(self.requests, fields)
        reference = self.component(self.requests, name, schema)
        media = {"application/json": reference} if site.form in ("never", "files") else {}
        if site.form in ("always", "files"):
            media["multipart/form-data"] = reference
        in_json = self.overlay.also_json(site.key, schema)
        if in_json is not None:
            is_alike = in_json is schema
            media["application/json"] = (
                reference if is_alike else self.component(self.requests, f"{name}.json", in_json)
            )
        required = bool(schema.get("required")) or "anyOf" in schema
        return {"required": required, "content": {kind: {"schema": media[kind]} for kind in sorted(media)}}

    def component(self, walker: Walker, name: str, schema: Json) -> Json:
        full = f"{walker.side}.{name}"
        if full in walker.components:
            raise CompileError(f"two components would be called {full}")
        walker.components[full] = schema
        return {"$ref": PREFIX + full}

    def answer(self, site: Site, name: str) -> Json:
        content: Json = {}
        if by_hand := self.overlay.answer(site.key):
            content = {media: {"schema": self.by_hand(hint)} for media, hint in by_hand.items()}
        elif isinstance(site.answer, str):
            raise CompileError(f"the overlay does not say what {site.answer} answers")
        elif site.answer is HttpxBinaryResponseContent:
            content = {media: {"schema": BINARY} for media in self.overlay.binary(site.key)}
        elif site.page:
            content = {"application/json": {"schema": self.page(site, name)}}
        elif site.answer is not type(None) and site.streamed is not True:
            content = {"application/json": {"schema": self.answers.schema(site.answer)}}
        if site.streamed:
            event = self.overlay.event(site.key) if isinstance(site.event, str) else site.event
            schema = self.by_hand(event) if isinstance(event, str) else self.answers.schema(event)
            content["text/event-stream"] = {"schema": schema}
        found: Json = {"description": "OK"}
        return {**found, "content": content} if content else found

    def by_hand(self, hint: Any) -> Json:
        """The schema of what the overlay names: `module:Type`s of the package, or `string`."""
        if hint == "string":
            return {"type": "string"}
        hints = [hint] if isinstance(hint, str) else hint
        return union(self.answers.schema(imported(one)) for one in hints)

    def page(self, site: Site, name: str) -> Json:
        """The envelope of a list, which is in no type: by page class, from the overlay."""
        envelope = self.overlay.page(str(site.page))
        properties = {**envelope["properties"], "data": {"type": "array", "items": self.answers.schema(site.answer)}}
        return self.component(self.answers, name, open_object(properties, envelope["required"]))


def imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def one_flag(schema: Json) -> Json:
    """The variants of a body for whole and streamed answers, made alike: `stream` is a boolean or absent."""
    if "stream" not in schema["properties"]:
        return schema
    properties = {**schema["properties"], "stream": STREAM_FLAG}
    required = [name for name in schema.get("required", []) if name != "stream"]
    return open_object(properties, required)


def finished(paths: Json, components: dict[str, Json], overlay: Overlay, release: str) -> Json:
    """The document: exceptions and bounds applied, ids unique, equal components merged, nothing unused."""
    overlay.apply(paths, components)
    check_ids(paths)
    components, paths = merge_equal(components, paths)
    components = reachable(paths, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "OpenAI API", "version": release},
        "components": {"schemas": components},
        "paths": paths,
    }


def check_ids(paths: Json) -> None:
    seen: dict[str, str] = {}
    for path, item in paths.items():
        for method, operation in item.items():
            name = operation["operationId"]
            if other := seen.get(name.lower()):
                raise CompileError(f"{method} {path} and {other} would both be called {name}")
            seen[name.lower()] = f"{method} {path}"


def compile_package(overlay: Overlay) -> Json:
    """The document of the installed `openai` package. Raises CompileError on anything not known."""
    assembly = Assembly(overlay)
    paths: Json = {}
    for site in operations(read_package()):
        paths.setdefault(site.path, {})[site.verb.lower()] = assembly.operation(site)
    return finished(paths, assembly.components, overlay, version("openai"))


def written(document: Json) -> bytes:
    """The document's bytes: sorted keys, one component and one operation a line, so that changes can be read."""
    schemas = lines(document["components"]["schemas"].items(), "   ")
    paths = ",\n".join(
        f"  {text(path)}: {{\n{lines(item.items(), '   ')}\n  }}" for path, item in sorted(document["paths"].items())
    )
    left_out = f' "x-left-out": {text(document["x-left-out"])},\n' if "x-left-out" in document else ""
    return (
        f'{{\n "openapi": {text(document["openapi"])},\n "info": {text(document["info"])},\n{left_out}'
        f' "components": {{\n  "schemas": {{\n{schemas}\n  }}\n }},\n "paths": {{\n{paths}\n }}\n}}\n'
    ).encode()


def lines(items: Iterable[tuple[str, Json]], indent: str) -> str:
    return ",\n".join(f"{indent}{text(name)}: {text(one)}" for name, one in sorted(items))


def text(value: Json) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
