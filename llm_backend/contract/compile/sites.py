"""The resource classes of the `openai` package, read as syntax: where each operation is called, and with what."""

import ast
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from llm_backend.contract.compile import CompileError

VERBS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE", "_get_api_list": "GET"}
KNOWN_KEYWORDS = {"body", "cast_to", "content", "files", "method", "model", "options", "page", "stream", "stream_cls"}
KNOWN_OPTIONS = {
    "extra_body", "extra_headers", "extra_query", "post_parser", "query", "security", "stream_mode",
    "synthesize_event_and_data", "timeout",
}  # fmt: skip
KNOWN_HEADERS = {"Accept", "Content-Type", "OpenAI-Beta"}
"""Headers that the package sets by itself; all others must be written as `strip_not_given({...})`."""


@dataclass(frozen=True)
class Fields:
    """The typed dictionaries that describe a body or a query, and which of their keys belong to it."""

    types: tuple[Any, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Site:
    """One call to the API, as the package makes it. `path` has no `/v1`; types are the package's own."""

    resource: tuple[str, ...]
    method: str
    verb: str
    path: str
    where: str
    body: Fields | None = None
    form: str = "never"
    """Multipart: `never`, `always`, or `files` where the package sends JSON unless a file is given."""
    query: Fields | None = None
    headers: tuple[str, ...] = ()
    answer: Any = None
    """A type, None for an empty answer, or the text of an expression that the overlay has to explain."""
    page: str | None = None
    event: Any = None
    streamed: bool | str = False
    """False, True, or the name of the parameter that asks for a stream."""
    enveloped: bool = False
    """The package shows `{event, data}` made of the event's name and its payload."""
    deprecated: bool = False

    @property
    def key(self) -> str:
        """What the overlay calls this operation: `POST /chat/completions`."""
        return f"{self.verb} {self.path}"


@dataclass
class Reader:
    """Reads the methods of one class. `names` is what its module's globals hold."""

    names: Mapping[str, Any]
    where: str
    locals: dict[str, list[ast.expr]] = field(default_factory=dict)

    def fail(self, what: str, node: ast.AST) -> CompileError:
        return CompileError(f"{self.where}: {what}: {ast.unparse(node)[:200]}")

    def resolve(self, node: ast.expr) -> Any:
        """The object that a name, an attribute or a generic of them stands for."""
        match node:
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.Name(id="str"):
                return str
            case ast.Attribute(value=owner, attr=name):
                return getattr(self.resolve(owner), name)
            case ast.Constant(value=str() | bool() | None as value):
                return value
        raise self.fail("a type that is no plain name", node)

    def types(self, node: ast.expr) -> tuple[Any, ...]:
        """One type, or the two of `Streaming if stream else NonStreaming`."""
        if isinstance(node, ast.IfExp):
            return (*self.types(node.body), *self.types(node.orelse))
        return (self.resolve(node),)

    def keys(self, node: ast.expr) -> tuple[str, ...]:
        """The keys of the dictionary literal behind `node`: itself, a local name, or the argument of a call."""
        match node:
            case ast.Dict(keys=written):
                return tuple(self.resolve(key) for key in written if key is not None)
            case ast.Name(id=name) if name in self.locals:
                found = [keys for value in self.locals[name] if (keys := self.literal(value)) is not None]
                if len(found) == 1:
                    return found[0]
            case ast.Attribute(value=ast.Name(id=name), attr="body") if name in self.locals:
                return self.keys(ast.Name(id=name))
        raise self.fail("no dictionary literal behind this", node)

    def literal(self, node: ast.expr) -> tuple[str, ...] | None:
        """The keys of the one dictionary literal among `node` and its direct arguments."""
        candidates = [node, *node.args] if isinstance(node, ast.Call) else [node]
        found = [one for one in candidates if isinstance(one, ast.Dict)]
        return self.keys(found[0]) if len(found) == 1 else None

    def fields(self, node: ast.expr) -> Fields:
        """`maybe_transform({...}, Type)`, or a local name that holds one."""
        match node:
            case ast.Call(func=ast.Name(id="maybe_transform"), args=[literal, hint]):
                return Fields(self.types(hint), self.keys(literal))
            case ast.Name(id=name):
                for value in self.locals.get(name, []):
                    if isinstance(value, ast.Call) and ast.unparse(value.func) == "maybe_transform":
                        return self.fields(value)
        raise self.fail("a body or query of unknown making", node)

    def path(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(path)):
                return path
            case ast.Call(func=ast.Name(id="path_template"), args=[ast.Constant(value=str(path))]):
                return path
        raise self.fail("a path of unknown making", node)

    def answer(self, node: ast.expr) -> Any:
        match node:
            case ast.Call(func=ast.Name(id="cast"), args=[ast.Name(id="Any"), union]):
                return self.resolve(union)
            case ast.Call():
                return ast.unparse(node.func)
        return self.resolve(node)

    def event(self, node: ast.expr) -> Any:
        """The event type of `Stream[Event]`, or the name of a stream class of its own."""
        match node:
            case ast.Subscript(value=ast.Name(id="Stream"), slice=event):
                return self.resolve(event)
            case ast.Name(id=name):
                return name
        raise self.fail("a stream of unknown making", node)

    def streamed(self, node: ast.expr) -> bool | str:
        match node:
            case ast.Constant(value=True):
                return True
            case ast.BoolOp(op=ast.Or(), values=[ast.Name(id=name), ast.Constant(value=False)]):
                return name
        raise self.fail("a stream flag of unknown making", node)

    def headers(self) -> tuple[str, ...]:
        """Headers whose value the caller gives: the keys of `strip_not_given({...})`, in lower case."""
        found: list[str] = []
        for value in self.locals.get("extra_headers", []):
            if not isinstance(value, ast.Dict):
                raise self.fail("headers of unknown making", value)
            for key, part in zip(value.keys, value.values, strict=True):
                match key, part:
                    case None, ast.Call(func=ast.Name(id="strip_not_given"), args=[ast.Dict(keys=keys)]):
                        found += [str(self.resolve(one)).lower() for one in keys if one is not None]
                    case (None, ast.BoolOp() | ast.DictComp()) | (ast.Constant(), _):
                        if key is not None and self.resolve(key) not in KNOWN_HEADERS:
                            raise self.fail("a header of its own", key)
                    case _:
                        raise self.fail("headers of unknown making", part)
        return tuple(found)


def own_calls(method: ast.FunctionDef) -> list[ast.Call]:
    """The calls in `method` that send a request."""
    return [
        node
        for node in ast.walk(method)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in VERBS
        and ast.unparse(node.func.value) == "self"
    ]


def assignments(method: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """Every value that a local name is given, in order."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def form_of(method: ast.FunctionDef, keywords: Mapping[str, ast.expr]) -> str:
    """How a body with files travels: the header is set always, or inside `if files:`."""
    if "files" not in keywords:
        return "never"
    conditional = any(isinstance(node, ast.If) and "multipart/form-data" in ast.unparse(node) for node in method.body)
    return "files" if conditional else "always"


def read_call(reader: Reader, method: ast.FunctionDef, resource: tuple[str, ...]) -> Site:
    (call,) = own_calls(method)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    options = keywords.get("options")
    if not isinstance(options, ast.Call) or ast.unparse(options.func) != "make_request_options":
        raise reader.fail("options of unknown making", call)
    extras = {keyword.arg: keyword.value for keyword in options.keywords if keyword.arg}
    if unknown := sorted((set(keywords) - KNOWN_KEYWORDS) | (set(extras) - KNOWN_OPTIONS)):
        raise reader.fail(f"unknown keywords {unknown} in", call)
    assert isinstance(call.func, ast.Attribute)
    verb = VERBS[call.func.attr]
    page = None
    if "page" in keywords:
        if not isinstance(keywords["page"], ast.Subscript):
            raise reader.fail("a page of unknown making", keywords["page"])
        page = ast.unparse(keywords["page"].value)
        verb = str(reader.resolve(keywords["method"])).upper() if "method" in keywords else verb
    return Site(
        resource=resource,
        method=method.name,
        verb=verb,
        path=reader.path(call.args[0]),
        where=reader.where,
        body=reader.fields(keywords["body"]) if "body" in keywords else None,
        form=form_of(method, keywords),
        query=reader.fields(extras["query"]) if "query" in extras else None,
        headers=reader.headers(),
        answer=reader.answer(keywords["model"] if page else keywords["cast_to"]),
        page=page,
        event=reader.event(keywords["stream_cls"]) if "stream_cls" in keywords else None,
        streamed=reader.streamed(keywords["stream"]) if "stream" in keywords else False,
        enveloped="synthesize_event_and_data" in extras,
        deprecated=any("deprecated" in ast.unparse(decorator) for decorator in method.decorator_list),
    )


def read_class(
    definition: ast.ClassDef, names: Mapping[str, Any], resource: tuple[str, ...], where: str
) -> Iterator[Site]:
    """The sites of one resource class. Raises CompileError, with file and method, on what it does not know."""
    for method in definition.body:
        if not isinstance(method, ast.FunctionDef) or not (calls := own_calls(method)):
            continue
        if len(calls) > 1:
            raise CompileError(f"{where}:{method.name}: more than one call to the API")
        yield read_call(Reader(names, f"{where}:{method.name}", assignments(method)), method, resource)


def parts(definition: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """The properties that lead to further resources."""
    for method in definition.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("with_"):
            decorators = [ast.unparse(decorator) for decorator in method.decorator_list]
            if "cached_property" in decorators:
                yield method


@cache
def classes(module: ModuleType) -> Mapping[str, ast.ClassDef]:
    tree = ast.parse(Path(str(module.__file__)).read_bytes())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def definition_of(resource: type) -> tuple[ast.ClassDef, ModuleType]:
    """Where `resource` is written; a class that only renames another is that other."""
    for candidate in resource.__mro__:
        module = importlib.import_module(candidate.__module__)
        definition = classes(module)[candidate.__name__]
        if any(not isinstance(statement, ast.Pass) for statement in definition.body):
            return definition, module
    raise CompileError(f"{resource.__qualname__}: no class with a body")


def read_tree(resource: type, path: tuple[str, ...]) -> Iterator[Site]:
    definition, module = definition_of(resource)
    where = module.__name__.removeprefix("openai.resources.")
    yield from read_class(definition, vars(module), path, where)
    for part in parts(definition):
        assert part.returns is not None
        yield from read_tree(vars(module)[ast.unparse(part.returns)], (*path, part.name))


def read_package() -> list[Site]:
    """Every site of the installed `openai` package, from its client downwards."""
    client = importlib.import_module("openai._client")
    sites: list[Site] = []
    for part in parts(classes(client)["OpenAI"]):
        match part.body:
            case [*_, ast.ImportFrom(module=str(source), names=[imported]), ast.Return()]:
                resource = getattr(importlib.import_module(f"openai.{source}"), imported.name)
                sites += read_tree(resource, (part.name,))
            case _:
                raise CompileError(f"openai._client: a resource of unknown making: {part.name}")
    return sites
