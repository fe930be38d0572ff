"""What Connexion has loaded is taken as it is known, or not at all."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from connexion.apps.asynchronous import AsyncASGIApp
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.security import SecurityMiddleware

from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.contract.layers import Layers
from llm_backend.contract.loaded import loaded
from llm_backend.contract.operations import in_turn
from llm_backend.contract.routing import resolver
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.errors import Json
from tests.contract.contracts import handlers, spec_folder
from tests.contract.serving import Bearer


@pytest.fixture
def document(tmp_path: Path) -> Json:
    return merge(spec_folder(tmp_path / "spec"))


@pytest.fixture
def layers(document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    return Layers(
        to_connexion(document),
        resolver(document, handlers(monkeypatch, tmp_path)),
        security_map={"bearer": Bearer},
        validator_map=validator_map(document),
        uri_parser_class=UnreadUri,
    )


def test_every_operation_is_taken_with_what_connexion_made_of_it(layers: Layers, document: Json) -> None:
    taken = {each.id: each for each in loaded(layers)}

    assert list(taken) == [operation.id for operation in in_turn(document)]
    assert {name: each.verify is not None for name, each in taken.items()} == {
        operation.id: bool(operation.fields["security"]) for operation in in_turn(document)
    }
    assert {name for name, each in taken.items() if each.body} == {
        operation.id for operation in in_turn(document) if operation.is_answered and "requestBody" in operation.fields
    }
    assert {name for name, each in taken.items() if each.parameters} == {
        operation.id for operation in in_turn(document) if operation.is_answered and operation.parameters
    }


def with_another_layer(layers: Layers) -> None:
    layers.stack.insert(1, ContextMiddleware(layers.stack[1]))


def with_a_router_behind_something(layers: Layers) -> None:
    only: Any = layers.routes[0]
    only.app.middleware_stack = layers


def with_a_converted_path(layers: Layers) -> None:
    only: Any = layers.routes[0]
    only.app.add_route("/v1/{number:int}", layers, methods=["GET"])


def with_another_scheme(layers: Layers) -> None:
    for operation in layers.operations_of(SecurityMiddleware).values():
        operation.security_schemes = {"key": {"type": "apiKey", "in": "query", "name": "key"}}


def with_another_kind_of_check(layers: Layers) -> None:
    operations = layers.operations_of(SecurityMiddleware)
    operations["createThing"] = partial(operations["createThing"])


def with_another_validator(layers: Layers) -> None:
    for operation in layers.operations_of(RequestValidationMiddleware).values():
        operation._validator_map = {"parameter": object(), "body": {}}


def with_another_media_type(layers: Layers) -> None:
    operation = layers.operations_of(RequestValidationMiddleware)["createThing"]
    operation._operation._consumes = ["text/plain"]


def with_a_wrapped_handler(layers: Layers) -> None:
    operation = layers.operations_of(AsyncASGIApp)["createThing"]
    operation._fn = partial(operation._fn)


def with_a_decorated_handler(layers: Layers) -> None:
    operation = layers.operations_of(AsyncASGIApp)["createThing"]

    @wraps(operation._fn)
    async def decorated() -> None: ...

    operation._fn = decorated


def without_what_was_there(layers: Layers) -> None:
    for operation in layers.operations_of(RequestValidationMiddleware).values():
        del operation._validator_map


def without_an_operation(layers: Layers) -> None:
    del layers.operations_of(SecurityMiddleware)["createThing"]


@pytest.mark.parametrize(
    "changed",
    [
        with_another_layer,
        with_a_router_behind_something,
        with_a_converted_path,
        with_another_scheme,
        with_another_kind_of_check,
        with_another_validator,
        with_another_media_type,
        with_a_wrapped_handler,
        with_a_decorated_handler,
        without_what_was_there,
        without_an_operation,
    ],
)
def test_a_connexion_that_is_built_otherwise_refuses_the_start_and_names_the_way_out(
    layers: Layers, changed: Callable[[Layers], None]
) -> None:
    changed(layers)

    with pytest.raises(ContractError, match="direct_routing = false"):
        loaded(layers)
