"""From an operationId to the function that answers it, by name alone."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from types import ModuleType
from typing import Any, cast

from connexion import context
from connexion.resolver import Resolution, Resolver
from starlette.responses import Response
from starlette.types import Scope

from llm_backend.contract.documents import PREFIX
from llm_backend.contract.errands import Errands
from llm_backend.contract.error_styles import is_plain
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import Operation, in_turn, operations, python_name
from llm_backend.domain.errands import Errand
from llm_backend.edge.call import Call
from llm_backend.edge.holdings import Holding
from llm_backend.edge.idempotency import answered_once
from llm_backend.errors import Json, NotServed

Handler = Callable[..., Coroutine[Any, Any, Response]]
"""Takes the call and, by name, what it needs of the body (`body`) and of the path and query parameters."""

Bound = Callable[..., Coroutine[Any, Any, Response]]
"""What Connexion calls: seemingly without parameters, so that it reads no body and prepares no arguments."""

Answer = Callable[[Call], Coroutine[Any, Any, Response]]
"""What it comes to, for whoever has the call at hand."""


class HandlerResolver(Resolver):
    """Looks an operation up; everything that can be wrong was found when the table was made."""

    def __init__(self, table: dict[str, Bound]) -> None:
        super().__init__()
        self._table = table

    def resolve(self, operation: Any) -> Resolution:
        name: str = operation.operation_id
        return Resolution(self._table[name], name)  # type: ignore[no-untyped-call] # Connexion has no types


def resolver(document: Json, package: str = "llm_backend.handlers") -> Resolver:
    """Leads each operation of the document to its handler in `package`, or to a 501 with the policy's reason.

    Raises ContractError for a served operation without a handler, a handler without an operation, and a handler that
    asks for an argument its operation does not have.
    """
    errands = Errands(document)
    table = {operation.id: _answer(operation, package, errands) for operation in in_turn(document)}
    _refuse_orphans(document, package)
    return HandlerResolver(table)


def bind(handler: Handler) -> Bound:
    """The handler as Connexion calls it, given its call and the arguments that it names."""
    wanted = _wanted(handler)
    takes_body = "body" in wanted
    names = [name for name in wanted if name != "body"]

    async def answer(call: Call) -> Response:
        arguments = {name: call.arguments[name] for name in names if name in call.arguments}
        if takes_body:
            arguments["body"] = call.body
        return await handler(call, **arguments)

    async def bound(**_of_the_path: object) -> Response:
        return await answer(Call.of(cast("Scope", context.scope)))

    # Connexion passes the path's parameters whether they are asked for or not, and reads the body for a function that
    # takes any keyword: this one takes them and says it has none. (functools.wraps would show it the handler's own.)
    marked = cast("Any", bound)
    marked.__signature__ = inspect.Signature()
    marked.answer = answer
    bound.__name__ = bound.__qualname__ = handler.__name__
    bound.__module__ = handler.__module__
    return bound


def unbound(bound: Bound) -> Answer:
    """What `bound` does with its call. Raises TypeError where `bind` did not make it, or it was wrapped."""
    if not hasattr(bound, "answer") or inspect.unwrap(bound) is not bound:
        raise TypeError(f"{bound} is not as `bind` makes them")
    answer: Answer = cast("Any", bound).answer
    return answer


def _answer(operation: Operation, package: str, errands: Errands) -> Bound:
    if operation.is_relayed:
        handler = _relaying(operation, package, errands)
        return bind(_once(handler, operation) if operation.method == "post" else handler)
    if not operation.is_served:
        return _not_served(operation)
    handler = _find(operation, package)
    known = {"body"} if "requestBody" in operation.fields else set()
    known |= {python_name(parameter["name"]) for parameter in operation.parameters}
    for name in _wanted(handler):
        if name not in known:
            raise ContractError(f"The handler of {operation} asks for {name!r}, which the operation does not have.")
    if "requestBody" in operation.fields and operation.path.startswith(f"{PREFIX}/"):
        handler = Holding(errands.of(operation), tuple(operation.fields.get("x-kept-if", ()))).before(handler)
    return bind(_once(handler, operation) if operation.method == "post" else handler)


def _once(handler: Handler, operation: Operation) -> Handler:
    """The handler, run once for each idempotency key."""
    plainly = is_plain(operation)

    @wraps(handler)
    async def once(call: Call, **arguments: Any) -> Response:
        return await answered_once(call, partial(handler, call, **arguments), plainly=plainly)

    return once


def _not_served(operation: Operation) -> Bound:
    message = f"{operation.id} is not served here. {operation.fields['x-reason']}"

    async def not_served(_call: Call) -> Response:
        raise NotServed(message)

    return bind(not_served)


def _relaying(operation: Operation, package: str, errands: Errands) -> Handler:
    """One handler for all that is relayed, which differs by what the contract says of the operation."""
    make: Callable[[Errand], Handler] = importlib.import_module(f"{package}.relayed").relaying
    return make(errands.of(operation))


def _find(operation: Operation, package: str) -> Handler:
    module_name, function_name = f"{package}.{python_name(operation.tag)}", python_name(operation.id)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise ContractError(f"The operation {operation} is served, but there is no module {module_name}.") from None
    handler: Handler | None = _handlers(module).get(function_name)
    if handler is None:
        raise ContractError(f"The operation {operation} is served, but {module_name} has no {function_name}.")
    return handler


def _refuse_orphans(document: Json, package: str) -> None:
    """A handler that no operation leads to is a name that was changed in one place only."""
    known = {python_name(operation.id) for operation in operations(document) if operation.is_served}
    known |= {python_name(left_out) for left_out in document.get("x-left-out", [])}
    folder = importlib.import_module(package)
    for found in pkgutil.iter_modules(folder.__path__):
        module = importlib.import_module(f"{package}.{found.name}")
        for name in sorted(_handlers(module).keys() - known):
            raise ContractError(f"{module.__name__}.{name} is no operation of the document that is served.")


def _handlers(module: ModuleType) -> dict[str, Handler]:
    """The public coroutine functions that the module itself defines."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


def _wanted(handler: Handler) -> list[str]:
    """The names of the handler's parameters after the call."""
    return list(inspect.signature(handler).parameters)[1:]
