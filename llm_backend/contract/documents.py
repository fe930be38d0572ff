"""One document of many: OpenAI's operations, this project's own, and what the policy says of each."""

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson

from llm_backend.contract.error_styles import ERROR_STYLE
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import Operation, operations
from llm_backend.contract.policy import Policy, read_policy, read_yaml
from llm_backend.edge.media import FORM, JSON
from llm_backend.errors import Json

PREFIX = "/v1"
"""Where OpenAI's paths are served; those of the extensions are absolute."""

DOCS = "docs"
"""The `x-part` of the operations that a deployment may leave out."""

DESCRIPTION = """\
The base URL of SDKs and chat interfaces is this address with `/v1`.

Authorize takes a key, as `llm-backend accounts create` and `make run` print it (`admin`: the administrator's token).
"""

NOT_SERVED = "not served"


def merge(spec_folder: Path, *, docs: bool = True, unmetered: Collection[str] = ()) -> Json:
    """The document that is served and enforced, as OpenAPI 3.1.

    `unmetered`: tags that are relayed although what they cost is not known.
    Without `docs`, the operations that show the document are left out and named under `x-left-out`, as are those that
    the compiled document does not have and the package does: the policy may speak of both.
    Raises ContractError where the documents and the policy do not fit together.
    """
    policy = read_policy(spec_folder / "policy.yaml")
    policy.refuse_metered(unmetered)
    merged = _empty(policy)
    merged["components"] |= _read_openai(spec_folder / "openai.json", merged)
    for file in sorted((spec_folder / "extensions").glob("*.yaml")):
        _add_extension(merged, read_yaml(file), file.stem)
    merged["components"]["securitySchemes"] = policy.security_schemes
    _leave_out(merged, set() if docs else {DOCS})
    _declare_variants(merged)
    _refuse_ambiguous_ids(merged)
    policy.refuse_unknown({operation.id for operation in operations(merged)} | set(merged["x-left-out"]))
    for operation in operations(merged):
        policy.apply(operation, unmetered)
        _complete(merged, operation)
        _mark(operation)
        _refuse_boundless_paths(merged, operation)
        if operation.is_answered and operation.path.startswith(PREFIX):
            _deny_configuration(merged, operation, policy)
    merged["tags"] = _tags(merged)
    del merged["x-default-response"]
    return merged


def resolve(document: Json, node: Json) -> Json:
    """`node`, or what its local `$ref` names. Raises ContractError where that does not exist."""
    while "$ref" in node:
        reference: str = node["$ref"]
        node = document
        for part in reference.removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if name not in node:
                raise ContractError(f"The document refers to {reference}, which does not exist.")
            node = node[name]
    return node


def refuse_unknown_authenticators(document: Json, known: Collection[str]) -> None:
    """Raises ContractError where a security scheme names no function of `known`, or an operation no scheme."""
    schemes = document["components"]["securitySchemes"]
    for name, scheme in schemes.items():
        function = scheme.get("x-authenticate")
        if function not in known:
            raise ContractError(
                f"The security scheme {name!r} asks for the function {function!r}, which does not exist."
            )
    for operation in operations(document):
        for name in sorted(set().union(*operation.fields["security"]) - schemes.keys()):
            raise ContractError(
                f"The operation {operation} asks for the security scheme {name!r}, which does not exist."
            )


def _empty(policy: Policy) -> Json:
    return {
        "openapi": "3.1.0",
        "info": {"title": "llm-backend", "version": _version(), "description": DESCRIPTION},
        "tags": [],
        "paths": {},
        "components": {},
        "x-body-limit": policy.body_limits["default"],
        "x-ownership": policy.ownership,
        "x-default-response": None,
    }


def _version() -> str:
    try:
        return version("llm-backend")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"


def _read_openai(file: Path, merged: Json) -> Json:
    """Puts the paths and what was left out into `merged`; gives the components."""
    try:
        document = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ContractError(f"{file} cannot be read: {error}.") from None
    for path, item in document["paths"].items():
        merged["paths"][PREFIX + path] = item
    merged["x-left-out"] = document.get("x-left-out", [])
    components: Json = document.get("components", {})
    return components


def _add_extension(merged: Json, document: Json, name: str) -> None:
    document = _without_collisions(merged, document, name)
    for path, item in document["paths"].items():
        known = merged["paths"].setdefault(path, {})
        for method in sorted(item.keys() & known.keys()):
            raise ContractError(f"Two documents describe {method.upper()} {path}.")
        known.update(item)
    for section, entries in document.get("components", {}).items():
        merged["components"].setdefault(section, {}).update(entries)
    merged["tags"] += document.get("tags", [])
    default = document.get("x-default-response")
    if name == "service":
        merged["x-default-response"] = default
    for operation in operations(document):
        if ERROR_STYLE in document:
            operation.fields.setdefault(ERROR_STYLE, document[ERROR_STYLE])
        if default is not None and name != "service":
            operation.fields["responses"].setdefault("default", default)


def _without_collisions(merged: Json, document: Json, name: str) -> Json:
    """The document, with each component whose name is taken called `<document>.<name>`."""
    renamed: dict[str, str] = {}
    for section, entries in document.get("components", {}).items():
        for taken in sorted(entries.keys() & merged["components"].get(section, {}).keys()):
            entries[f"{name}.{taken}"] = entries.pop(taken)
            renamed[f"#/components/{section}/{taken}"] = f"#/components/{section}/{name}.{taken}"
    return _with_references(document, renamed) if renamed else document


def _with_references(node: Json, renamed: dict[str, str]) -> Json:
    if isinstance(node, dict):
        return {
            key: renamed.get(value, value)
            if key == "$ref" and isinstance(value, str)
            else _with_references(value, renamed)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_with_references(value, renamed) for value in node]
    return node


def _leave_out(merged: Json, parts: set[str]) -> None:
    left_out = [operation for operation in operations(merged) if operation.fields.get("x-part") in parts]
    for operation in left_out:
        del merged["paths"][operation.path][operation.method]
        if not merged["paths"][operation.path]:
            del merged["paths"][operation.path]
    merged["x-left-out"] += [operation.id for operation in left_out]


def _declare_variants(merged: Json) -> None:
    """What a path with a query of its own asks for (`/responses?beta=true`), asked of the path that it is routed to."""
    for variant in [operation for operation in operations(merged) if "?" in operation.path]:
        path, _, query = variant.path.partition("?")
        name = query.partition("=")[0]
        fields = merged["paths"].get(path, {}).get(variant.method)
        if fields is not None:
            declared = {"name": name, "in": "query", "schema": {"type": "boolean"}}
            fields["parameters"] = [*fields.get("parameters", []), declared]


def _refuse_ambiguous_ids(merged: Json) -> None:
    """Two operations that share an id would share the last one's security in Connexion."""
    seen: dict[str, Operation] = {}
    for operation in operations(merged):
        if not operation.id:
            raise ContractError(f"{operation.method.upper()} {operation.path} has no operationId.")
        other = seen.setdefault(operation.id.lower(), operation)
        if other is not operation:
            raise ContractError(f"Two operations share an operationId: {other} and {operation}.")


def _complete(merged: Json, operation: Operation) -> None:
    """What a document may leave out: the parameters that a path's operations share, and an answer to errors."""
    shared = merged["paths"][operation.path].get("parameters", [])
    if shared:
        operation.fields["parameters"] = [*shared, *operation.parameters]
    if merged["x-default-response"] is not None:
        operation.fields.setdefault("responses", {}).setdefault("default", merged["x-default-response"])


def _refuse_boundless_paths(merged: Json, operation: Operation) -> None:
    """A text of a path goes into logs, statements and the paths of upstreams: each document says what it may be."""
    for parameter in (resolve(merged, each) for each in operation.parameters):
        if parameter["in"] == "path":
            schema = resolve(merged, parameter["schema"])
            if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const"}:
                raise ContractError(f"The path parameter {parameter['name']!r} of {operation} has no pattern.")


def _deny_configuration(merged: Json, operation: Operation, policy: Policy) -> None:
    content = operation.fields.get("requestBody", {}).get("content", {})
    denied: Json = dict.fromkeys(policy.configuration_fields, False)
    # As a text, which a form could hold, nobody would see what is in it.
    extra_body = {"type": ["object", "null"], "properties": denied}
    for media_type in sorted(content.keys() & {JSON, FORM}):
        properties = resolve(merged, content[media_type]["schema"]).setdefault("properties", {})
        for name, schema in (denied | {"extra_body": extra_body}).items():
            properties.setdefault(name, schema)


def _mark(operation: Operation) -> None:
    """Let whoever reads the document as a page see what is not served, before trying it."""
    if not operation.is_answered:
        summary = operation.fields.get("summary")
        operation.fields["summary"] = f"{NOT_SERVED}: {summary}" if summary else NOT_SERVED
        operation.fields.setdefault("description", operation.fields["x-reason"])


def _tags(merged: Json) -> list[Json]:
    """Every tag of an operation: first those of which something is served, then the others, marked."""
    described = {tag["name"]: tag for tag in merged["tags"]}
    served = {operation.tag for operation in operations(merged) if operation.is_answered}
    others = {operation.tag for operation in operations(merged)} - served
    return [
        *(described.get(name, {"name": name}) for name in sorted(served)),
        *({"name": name, "description": NOT_SERVED, **described.get(name, {})} for name in sorted(others)),
    ]
