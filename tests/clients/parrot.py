"""A client of chats as its users know it: it reads the fields that their library reads, and nothing else.

Urllib and plain classes: whatever the library itself is made of, this is all that it asks of a server.
"""

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SOFT_LIMIT = "Most of the budget is used."


class ServerError(Exception):
    """The text under `error`."""


def asked(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON of the answer. Raises ServerError."""
    headers = {"authorization": f"Bearer {os.environ['PARROT_API_KEY']}", "content-type": "application/json"}
    data = None
    if body is not None:
        data = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    url = os.environ.get("PARROT_API_BASE", "http://localhost:5000") + path
    request = Request(url, data, headers, method=method)  # noqa: S310 (the test's own server)
    try:
        with urlopen(request) as answer:  # noqa: S310
            return json.load(answer)
    except HTTPError as error:
        raise ServerError(json.load(error)["error"]) from error


@dataclass(frozen=True)
class Message:
    """One message of a chat."""

    id: int
    chat_id: int
    content: str
    role: str
    created_at: str
    usage: dict[str, int]
    model_args: dict[str, Any]

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:
        return cls(**{name: told[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Chat:
    """One chat."""

    id: int
    name: str
    created_at: str
    model_type: str
    instruction_prefix: str
    user_prefix: str
    assistant_prefix: str

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:
        return cls(**{name: told[name] for name in cls.__dataclass_fields__})

    @classmethod
    def create(cls, name: str, model_type: str | None = None, **prefixes: str) -> Self:
        return cls.read(asked("POST", "/api/chats", {"name": name, "model_type": model_type, **prefixes}))

    @classmethod
    def list(cls, name: str | None = None) -> Sequence[Self]:
        query = f"?name={name}" if name else ""
        return [cls.read(told) for told in asked("GET", f"/api/chats{query}")]

    @staticmethod
    def budget() -> dict[str, int]:
        told: dict[str, int] = asked("GET", "/api/chats/budget")
        return told

    def ask(self, content: str, instruction: str | None = None, model_args: dict[str, Any] | None = None) -> Message:
        body = {"content": content, "instruction": instruction, "model_args": model_args}
        told = asked("POST", f"/api/chats/{self.id}/messages", body)
        if told["over_soft_limit"]:
            warnings.warn(SOFT_LIMIT, stacklevel=2)
        return Message.read(told)

    def messages(self) -> Sequence[Message]:
        return [Message.read(told) for told in asked("GET", f"/api/chats/{self.id}/messages")]
