"""What Connexion has made of each operation at start, taken out of its layers: route, security, validators, handler.

None of the attributes read here is promised by Connexion. So everything is taken for what it was when this was
written, and a Connexion that is built otherwise refuses the start: it never answers otherwise without being noticed.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from connexion.apps.asynchronous import AsyncASGIApp, AsyncOperation
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware, RequestValidationOperation
from connexion.middleware.routing import RoutingMiddleware, RoutingOperation
from connexion.middleware.security import SecurityMiddleware, SecurityOperation
from starlette.convertors import PathConvertor, StringConvertor
from starlette.routing import Mount, Route, Router

from llm_backend.contract.errors import ContractError
from llm_backend.contract.layers import Layers
from llm_backend.contract.parameters import Parameters
from llm_backend.contract.routing import Answer, unbound
from llm_backend.contract.validation import BodyCheck, ParameterCheck
from llm_backend.edge.media import JSON

Verify = Callable[[Any], Awaitable[None]]
"""What Connexion made of an operation's security: takes the request, and raises where the caller may not ask."""

KNOWN = (RoutingMiddleware, SecurityMiddleware, RequestValidationMiddleware, ContextMiddleware, AsyncASGIApp)
"""The layers, from the outermost: what they do, and nothing else, is done without them too."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One operation, as Connexion resolved it."""

    id: str
    route: Route
    verify: Verify | None
    """None where anybody may ask."""
    parameters: Parameters | None
    body: BodyCheck | None
    answer: Answer
    """Its handler, and all that was put around it here."""


def loaded(layers: Layers) -> list[Loaded]:
    """Every operation, in the order in which the router tries them. Raises ContractError where Connexion differs."""
    try:
        return [_operation(layers, route) for route in _routes(layers)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unknown(f"{type(error).__name__}: {error}") from error


def _routes(layers: Layers) -> Iterator[Route]:
    if tuple(type(layer) for layer in layers.stack) != KNOWN:
        raise _unknown("its layers are others")
    (only,) = layers.routes
    mount = _the(Mount, only)
    router = _the(Router, mount.app)
    if mount.path or not isinstance(router.default, RoutingOperation) or router.middleware_stack != router.app:
        raise _unknown("its router stands behind something")
    for each in router.routes:
        route = _the(Route, each)
        if not {type(convertor) for convertor in route.param_convertors.values()} <= {StringConvertor, PathConvertor}:
            raise _unknown(f"the path {route.path} is converted")
        yield route


def _operation(layers: Layers, route: Route) -> Loaded:
    name = _the(str, _the(RoutingOperation, route.app).operation_id)
    security = _the(SecurityOperation, layers.operations_of(SecurityMiddleware)[name])
    validation = _the(RequestValidationOperation, layers.operations_of(RequestValidationMiddleware)[name])
    answer = _the(AsyncOperation, layers.operations_of(AsyncASGIApp)[name])
    verify, parameters, body = _verify(security), _parameters(validation, name), _body(validation)
    return Loaded(name, route, verify, parameters, body, unbound(answer._fn))  # noqa: SLF001 (this is what the module is for)


def _verify(operation: SecurityOperation) -> Verify | None:
    if not operation.security:
        return None
    names = {name for alternative in operation.security for name in alternative}
    kinds = {(scheme["type"], scheme["scheme"]) for name, scheme in operation.security_schemes.items() if name in names}
    if kinds != {("http", "bearer")}:
        raise _unknown(f"a security scheme is not our own: {sorted(kinds)}")
    verify: Verify = operation.verification_fn
    return verify


def _parameters(operation: RequestValidationOperation, name: str) -> Parameters | None:
    return _the(ParameterCheck, _validators(operation)["parameter"]).of(name)


def _body(operation: RequestValidationOperation) -> BodyCheck | None:
    """The validator that Connexion finds for JSON: what the guard calls every body, and Connexion takes for granted."""
    described = operation._operation  # noqa: SLF001 (this is what the module is for)
    if described.consumes not in ([], [JSON]):
        raise _unknown(f"an operation takes {described.consumes}")
    schema = described.body_schema(JSON)
    return _the(BodyCheck, _validators(operation)["body"][JSON](schema=schema)) if schema else None


def _validators(operation: RequestValidationOperation) -> dict[str, Any]:
    validators: dict[str, Any] = operation._validator_map  # noqa: SLF001 (this is what the module is for)
    return validators


def _the(kind: type[T], found: object) -> T:
    """What was found, which has to be just that: of a subclass nobody knows what it does."""
    if type(found) is not kind:
        raise _unknown(f"there is {type(found).__name__} in the place of {kind.__name__}")
    return found


def _unknown(what: str) -> ContractError:
    return ContractError(
        f"Connexion is built otherwise than is known here ({what}): with direct_routing = false it answers by itself."
    )
