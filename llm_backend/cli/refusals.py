"""Errors that a user of the command line can mend: one line, no traceback, an exit code that scripts can tell apart."""

import sys

import typer

from llm_backend.contract.errors import ContractError
from llm_backend.domain.secrets import SecretRefused
from llm_backend.errors import LLMBackendError
from llm_backend.settings import SettingsRefused
from llm_backend.storage.schema import SchemaMismatch

SETTINGS_REFUSED = 2
SCHEMA_MISMATCH = 3

EXIT_CODES: dict[type[Exception], int] = {
    SettingsRefused: SETTINGS_REFUSED,
    SecretRefused: SETTINGS_REFUSED,
    SchemaMismatch: SCHEMA_MISMATCH,
    ContractError: 1,
    LLMBackendError: 1,
}


def refusing(program: typer.Typer) -> int:
    """Run `program`; its exit code."""
    try:
        program()
    except SystemExit as ended:
        return _code(ended)
    except tuple(EXIT_CODES) as error:
        sys.stderr.write(f"llm-backend: {error}\n")
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    return 0


def _code(ended: SystemExit) -> int:
    if isinstance(ended.code, str):
        sys.stderr.write(f"{ended.code}\n")
        return 1
    return ended.code or 0
