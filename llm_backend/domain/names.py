"""What people may be called, accounts, keys and users alike."""

from llm_backend.errors import InvalidRequest

NAME_LIMIT = 80
"""In characters."""


def checked(name: str, what: str, param: str = "name", *, least: int = 1) -> str:
    """`name`, where it is one: what people can read, type and tell apart. Raises InvalidRequest; `what` is it of."""
    if len(name.strip()) < least or len(name) > NAME_LIMIT or not name.isprintable():
        raise InvalidRequest(f"{what} is {least} to {NAME_LIMIT} printable characters.", param=param)
    return name
