"""What people may be called, accounts, keys and users alike, and how much they may be given."""

from llm_backend.errors import InvalidRequest

NAME_LIMIT = 80
"""In characters."""

LARGEST = 2**53 - 1
"""Of any limit: what JSON carries exactly everywhere."""


def checked(name: str, what: str, param: str = "name", *, least: int = 1) -> str:
    """`name`, where it is one: what people can read, type and tell apart. Raises InvalidRequest; `what` is it of."""
    if len(name.strip()) < least or len(name) > NAME_LIMIT or not name.isprintable():
        raise InvalidRequest(f"{what} is {least} to {NAME_LIMIT} printable characters.", param=param)
    return name


def limited(number: object, param: str, *, least: int = 0, most: int = LARGEST) -> None:
    """Raises InvalidRequest where `number` is no limit: a whole number, or None for none."""
    if number is not None and not (isinstance(number, int) and least <= number <= most):
        until = "on" if most == LARGEST else f"to {most}"
        raise InvalidRequest(f"The limit is a whole number from {least} {until}, or none.", param=param)
