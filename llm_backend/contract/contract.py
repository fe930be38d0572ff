"""The merged document, made into all that a server needs of it."""

from dataclasses import dataclass

from starlette.types import ASGIApp

from llm_backend.contract.bodies import BodyLimit, body_limit
from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import refuse_unknown_authenticators
from llm_backend.contract.error_styles import plain_roots
from llm_backend.contract.layers import Layers
from llm_backend.contract.operations import operations
from llm_backend.contract.routing import resolver
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.domain.document import Document
from llm_backend.edge.auth import CHECKS, SECURITY_MAP
from llm_backend.edge.rewriting import Rewriting
from llm_backend.edge.signposts import Signposts
from llm_backend.errors import Json


@dataclass(frozen=True, slots=True)
class Contract:
    """Knows requests and no server: what a server opens comes with each request, in its scope."""

    document: Document
    answering: ASGIApp
    """Routes, authorises and validates a request, and has its handler answer."""
    rewriting: Rewriting
    signposts: Signposts
    body_limit: BodyLimit
    plain_roots: frozenset[str]

    @classmethod
    def of(cls, document: Json) -> "Contract":
        """Raises ContractError where the document, the policy and the handlers do not fit together."""
        refuse_unknown_authenticators(document, CHECKS)
        return cls(
            Document.of(document),
            _answering(document),
            Rewriting(document["paths"]),
            Signposts(operation.path for operation in operations(document) if operation.is_answered),
            body_limit(document),
            plain_roots(document),
        )


def _answering(document: Json) -> Layers:
    return Layers(
        to_connexion(document),
        resolver(document),
        security_map=SECURITY_MAP,
        validator_map=validator_map(document),
        # Parameters are read once, by our own validator.
        uri_parser_class=UnreadUri,
    )
