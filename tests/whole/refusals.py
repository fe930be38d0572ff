"""Requests of an operation that are wrong in one way each, as the contract tells what would be right."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import METHODS, Operation
from llm_backend.errors import Json
from tests.whole.asgi import Request
from tests.whole.examples import FORM, body_of, form_of
from tests.whole.good_requests import BODIES, EXISTING, bearer, good_request

BOUNDARY = "7e1"
JSON = "application/json"
WRONG_VALUES: tuple[Json, ...] = ([[[]]], {"": {"": None}}, 1.5, "\x00" * 3)
WRONG_TEXTS = ("", "no-such-thing!", "-1", "9" * 30, "%00", "%ff")
WRONG_IDS = ("!", "a%2Fb", "a/b", "%00", "a" * 300, "caf%C3%A9")
MALFORMED = (b"{", b'{"a": 1, "a": 2}', b"[]", b"null", b'"text"', b"1e999", b"[" * 100, b"\xff", b"{} {}")


def as_is(document: Json, operation: Operation, own: Mapping[str, str], token: str | None) -> Request:
    """A request with which all is well."""
    path = good_request(operation, {**EXISTING, **own}).path
    asked = Request(operation.method.upper(), path, bearer(token))
    media = _media(document, operation) if operation.is_answered else {}
    if JSON in media:
        return _with_json(asked, BODIES.get(operation.id, body_of(document, operation)))
    return _with_form(asked, *form_of(document, operation, own)) if FORM in media else asked


def misplaced(asked: Request, methods: set[str]) -> Iterator[Request]:
    """`asked` with other methods than the `methods` that its path has, and of paths that are nearly its own."""
    for method in {*METHODS, "brew"} - methods:
        yield replace(asked, method=method.upper())
    path, short = asked.target, asked.target.removeprefix("/v1")
    spelled = "/" + path[1:].replace("e", "%65")
    azure = f"/openai/deployments/echo{short}?api-version=1"
    for target in (
        f"{path}/", f"{path}//", path[1:], path + "%2F", path.replace("/", "%2F"), path.replace("/", "//", 1),
        path.upper(), f"{path}x", f"{path}/x", f"/v1{path}", short, f"/openai{path}", f"/openai{short}", azure,
        f"{path}%0A", f"{path}/..", spelled,
    ):  # fmt: skip
        yield replace(asked, target=target)


def wrong(document: Json, operation: Operation, asked: Request) -> Iterator[Request]:
    """`asked` with everything wrong that the contract knows of, one thing at a time, but for who asks and where."""
    if not operation.is_answered:
        yield _with_json(asked, {})
        yield _with_form(asked, {"no_such_field": "x"}, [])
        return
    yield from _wrong_parameters(operation, asked)
    media = _media(document, operation)
    if media:
        yield from _wrong_media(asked)
    if JSON in media:
        yield from _wrong_objects(document, media[JSON]["schema"], asked)
    if FORM in media:
        yield from _wrong_forms(document, media[FORM]["schema"], operation, asked)


def _wrong_parameters(operation: Operation, asked: Request) -> Iterator[Request]:
    for parameter in operation.parameters:
        name = parameter["name"]
        if parameter["in"] == "path":
            for value in WRONG_IDS:
                path = good_request(operation, {**EXISTING, name: value}).path
                yield replace(asked, target=path)
        elif parameter["in"] == "query":
            for value in WRONG_TEXTS:
                yield replace(asked, target=f"{asked.target}?{name}={value}")
            yield replace(asked, target=f"{asked.target}?{name}[]=a&{name}[b]=c&{name}=d")
    yield replace(asked, target=f"{asked.target}?{'&' * 1001}no_such_parameter=%zz")


def _wrong_media(asked: Request) -> Iterator[Request]:
    yield replace(asked, body=b"")
    yield replace(asked, body=b"", headers={**asked.headers, "content-type": JSON})
    for kind in (
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        FORM,
        f"{JSON}; charset=latin-1",
    ):
        yield replace(asked, headers={**asked.headers, "content-type": kind})
    yield replace(asked, headers={name: value for name, value in asked.headers.items() if name != "content-type"})
    yield replace(asked, headers={**asked.headers, "content-encoding": "gzip"})
    yield replace(asked, headers={**asked.headers, "content-length": str(2**40)})
    yield _with_json(asked, {})
    yield _with_form(asked, {"no_such_field": "x"}, [])
    for body in MALFORMED:
        yield replace(asked, headers={**asked.headers, "content-type": JSON}, body=body)


def _wrong_objects(document: Json, schema: Json, asked: Request) -> Iterator[Request]:
    good = json.loads(asked.body)
    schema = resolve(document, schema)
    properties, required = schema.get("properties", {}), schema.get("required", ())
    if not isinstance(good, dict):
        return
    for name in required:
        yield _with_json(asked, {key: value for key, value in good.items() if key != name})
    for number, name in enumerate(properties):
        kinds = WRONG_VALUES if name in required else (WRONG_VALUES[number % len(WRONG_VALUES)],)
        for value in kinds:
            yield _with_json(asked, good | {name: value})


def _wrong_forms(document: Json, schema: Json, operation: Operation, asked: Request) -> Iterator[Request]:
    texts, files = form_of(document, operation, {})
    for name in texts:
        yield _with_form(asked, {key: text for key, text in texts.items() if key != name}, files)
    yield _with_form(asked, texts, [])
    for name in resolve(document, schema)["properties"]:
        yield _with_form(asked, {**texts, name: "\x00[[]]"}, files)
    yield replace(asked, body=asked.body[:-8])


def _media(document: Json, operation: Operation) -> Json:
    """The schemas of its bodies, by media type."""
    return resolve(document, operation.fields.get("requestBody", {})).get("content", {})


def _with_json(asked: Request, body: Json) -> Request:
    return replace(asked, headers={**asked.headers, "content-type": JSON}, body=json.dumps(body).encode())


def _with_form(asked: Request, texts: Mapping[str, str], files: list[str]) -> Request:
    parts: list[tuple[str, Any]] = [(f'name="{name}"', text) for name, text in texts.items()]
    parts += [(f'name="{name}"; filename="a.txt"\r\ncontent-type: text/plain', "content") for name in files]
    told = "".join(f"--{BOUNDARY}\r\ncontent-disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts)
    headers = {**asked.headers, "content-type": f"{FORM}; boundary={BOUNDARY}"}
    return replace(asked, headers=headers, body=f"{told}--{BOUNDARY}--\r\n".encode())
