"""What an operation is called, and the tag it is found by."""

import re
from collections.abc import Mapping

VERBS = {"retrieve": "get"}
ORDER = ("create", "list", "retrieve", "update", "delete")
"""Which method names an operation, where several make the same request."""


def singular(noun: str) -> str:
    for ending, replacement in (("ies", "y"), ("ches", "ch"), ("ss", "ss"), ("s", "")):
        if noun.endswith(ending):
            return noun.removesuffix(ending) + replacement
    return noun


def pascal(words: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", words))


def plain(resource: tuple[str, ...]) -> tuple[str, ...]:
    """The resource without the folders that say nothing about it."""
    return tuple(part for part in resource if part not in ("admin", "beta"))


def operation_id(resource: tuple[str, ...], method: str, path: str) -> str:
    """Verb and noun: `chat.completions.create` is `createChatCompletion`; only lists keep the plural."""
    verb, _, rest = method.partition("_")
    *ancestors, last = plain(resource)
    nouns = [singular(ancestor) for ancestor in ancestors]
    nouns.append(last if verb == "list" and not rest else singular(last))
    beta = "Beta" if "?beta=" in path else ""
    return VERBS.get(verb, verb) + beta + "".join(pascal(noun) for noun in nouns) + pascal(rest)


def tag(resource: tuple[str, ...]) -> str:
    return plain(resource)[0]


def rank(resource: tuple[str, ...], method: str, *, deprecated: bool) -> tuple[bool, bool, int, str]:
    """Of sites with the same request, the smallest gives the operation its name."""
    verb = method.partition("_")[0]
    return deprecated, resource[0] == "beta", ORDER.index(verb) if verb in ORDER else len(ORDER), method


def shape(path: str) -> str:
    """A path without the names of its parameters, to match operations of two documents."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def camel(name: str) -> str:
    """An id of any style (`list-projects`, `ListSkills`, `beta_listItems`) in camel case."""
    joined = pascal(name)
    return joined[:1].lower() + joined[1:]


def by_shape(operations: Mapping[str, str]) -> dict[str, str]:
    """`POST /files/{file_id}` -> value, keyed by `POST /files/{}`."""
    return {shape(key): value for key, value in operations.items()}
