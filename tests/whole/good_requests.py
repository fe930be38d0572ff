"""A request of every operation, complete as far as it must be to be told apart from a wrong one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_backend.contract.documents import merge
from llm_backend.contract.operations import Operation, operations
from llm_backend.errors import Json
from llm_backend.resources import resource

HELLO = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, Json] = {
    "createChatCompletion": {"model": "echo", "messages": HELLO},
    "createCompletion": {"model": "echo", "prompt": "Hello"},
    "createEmbedding": {"model": "echo", "input": "Hello"},
    "createModeration": {"input": "Hello"},
    "createImage": {"prompt": "Hello"},
    "createSpeech": {"model": "echo-speech", "voice": "alloy", "input": "Hello"},
    "createAccount": {"name": "another"},
    "createAccounts": {"accounts": [{"name": "one of many"}]},
    "putAccountBudget": {"budget": 1_000_000},
    "reportLeakedKeys": {"api_keys": ["sk-of-somebody-else"]},
    "updateAccount": {"course": "Physics"},
    "createUser": {"code": "somebody"},
    "createChat": {"name": "homework"},
    "createResponse": {"model": "echo", "input": "Hello"},
    "createBetaResponse": {"model": "echo", "input": "Hello"},
    "compactResponse": {"model": "echo", "input": "Hello"},
    "compactBetaResponse": {"model": "echo", "input": "Hello"},
    "countResponseInputTokens": {"model": "echo", "input": "Hello"},
    "countBetaResponseInputTokens": {"model": "echo", "input": "Hello"},
    "createConversation": {"items": HELLO},
    "createConversationItems": {"items": HELLO},
    "updateConversation": {"metadata": {"topic": "trees"}},
    "askChat": {"content": "Hello"},
    "updateChatCompletion": {"metadata": {"topic": "greeting"}},
}
"""Of the served operations that take one."""
PICTURE = {"image": ("square.png", b"\x89PNG\r\n" + bytes(64), "image/png")}
SOUND = {"file": ("hello.mp3", bytes(4096), "audio/mpeg")}
FORMS: dict[str, dict[str, Any]] = {
    "createImageEdit": {"data": {"prompt": "Hello"}, "files": PICTURE},
    "createImageVariation": {"files": PICTURE},
    "createTranscription": {"data": {"model": "echo-transcribe"}, "files": SOUND},
    "createTranslation": {"data": {"model": "echo-transcribe"}, "files": SOUND},
}
"""Of those that take a form."""
EXISTING = {"model": "echo", "asset": "swagger-ui.css", "account_id": "1", "subject": "account"}
"""What paths name, where nothing else is said."""
ENDS = (
    "deleteChatCompletion", "deleteConversationItem", "deleteConversation", "deleteResponse", "deleteBetaResponse",
    "rotateKey", "revokeKey", "deleteAccount", "eraseUser", "eraseAccount",
)  # fmt: skip
"""What takes away that which others ask for, in an order in which each finds what it needs."""


@dataclass(frozen=True, slots=True)
class GoodRequest:
    """What a client of httpx sends, but for its token."""

    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    """By httpx's name for the kind of body that it is."""


def every_operation() -> list[Operation]:
    """All of the document that is served, in its order."""
    return list(operations(merge(resource("spec"))))


def in_order(served: list[Operation]) -> list[Operation]:
    """The operations as they can all be done, one after the other."""
    return sorted(served, key=lambda operation: ENDS.index(operation.id) + 1 if operation.id in ENDS else 0)


def good_request(operation: Operation, existing: Mapping[str, str] = EXISTING) -> GoodRequest:
    """A request of the operation that names what exists: `response_id of deleteResponse` is for that one alone."""
    path = operation.path
    for parameter in operation.parameters:
        if parameter["in"] == "path":
            name = parameter["name"]
            value = existing.get(f"{name} of {operation.id}") or existing.get(name) or _value(parameter["schema"])
            path = path.replace(f"{{{name}}}", value)
    media = operation.fields.get("requestBody", {}).get("content", {})
    if not media:
        return GoodRequest(operation.method, path)
    if operation.id in FORMS:
        return GoodRequest(operation.method, path, FORMS[operation.id])
    if "application/json" in media:
        return GoodRequest(operation.method, path, {"json": BODIES.get(operation.id, {})})
    return GoodRequest(operation.method, path, {"files": {"file": ("a.txt", b"text")}})


def bearer(token: str | None) -> dict[str, str]:
    """The header of a token, if there is one."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


def is_plain(operation: Operation) -> bool:
    """Whether its errors are texts."""
    return bool(operation.fields.get("x-error-style") == "text")


def is_for_admin(operation: Operation) -> bool:
    return bool(operation.fields["security"] == [{"admin": []}])


def is_for_everyone(operation: Operation) -> bool:
    return bool(operation.fields["security"] == [])


def _value(schema: Json) -> str:
    """A text that the path may hold."""
    return str(schema["enum"][0]) if "enum" in schema else "x-1"
