"""A student's afternoon: makes a chat, asks, lists, reads it again, and looks at the budget."""

import json
import sys
import warnings
from typing import Any

from tests.clients.parrot import Chat, ServerError


def refusal(chat: Chat, model_args: dict[str, Any]) -> str:
    """What the server says against a question."""
    try:
        chat.ask("no", model_args=model_args)
    except ServerError as error:
        return str(error)
    return ""


def main() -> None:
    chat = Chat.create("homework")
    text = Chat.create("essay", "text_completion", user_prefix="Q: ", assistant_prefix="A: ")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        first = chat.ask("one two three four five", instruction="Be brief")
        continued = text.ask("one")
        second = chat.ask("more", model_args={"max_tokens": None, "temperature": 0.2})
    refused = [refusal(chat, {"temperature": 3}), refusal(chat, {})]
    told = {
        "listed": [[each.name, each.model_type, each.user_prefix] for each in Chat.list()],
        "found": [each.id == text.id for each in Chat.list(name="ESS")],
        "said": [[each.role, each.content] for each in chat.messages()],
        "answers": [first.content, continued.content, second.usage, second.model_args["temperature"]],
        "warnings": [str(each.message) for each in warned],
        "refused": refused,
        "budget": Chat.budget(),
    }
    json.dump(told, sys.stdout)


main()
