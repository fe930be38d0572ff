"""How errors are written: OpenAI's envelope, or `{"error": "<text>"}` where a document says so of its operations.

The first part of the path decides, so that a path that leads to no operation answers as its neighbours do.
"""

from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import Operation, operations
from llm_backend.errors import Json

ERROR_STYLE = "x-error-style"
"""Of an operation, or of an extension document for all of its operations."""

STYLES = ("envelope", "text")


def is_plain(operation: Operation) -> bool:
    """Whether the operation's errors are texts."""
    return bool(operation.fields.get(ERROR_STYLE) == "text")


def plain_roots(document: Json) -> frozenset[str]:
    """The first parts of the paths whose errors are texts.

    Raises ContractError for a style that does not exist, and where operations below one part have different styles.
    """
    styles: dict[str, str] = {}
    for operation in operations(document):
        style = operation.fields.get(ERROR_STYLE, "envelope")
        if style not in STYLES:
            raise ContractError(f"The operation {operation} has the error style {style!r}, which does not exist.")
        root = operation.path.split("/")[1]
        if styles.setdefault(root, style) != style:
            raise ContractError(f"The operations below /{root} write their errors in different styles: {operation}.")
    return frozenset(root for root, style in styles.items() if style == "text")
