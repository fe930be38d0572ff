"""From the types of OpenAI's official package, or from its published document, to `spec/openai.json`.

sites      the resource classes, read as syntax -> one `Site` per call to the API
schemas    type hints -> JSON Schema, one component per class
published  OpenAI's published document -> the same facts
overlay    `spec/overlay.yaml` and `spec/limits.yaml`: every exception, and what protects this server
document   assembly: names, parameters, bodies, answers; equal components become one
"""

from llm_backend.contract.errors import ContractError


class CompileError(ContractError):
    """Something in the source that the compiler does not know; it says where, and nothing is written."""
