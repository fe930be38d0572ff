"""The merged document, made into all that a server needs of it."""

from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from llm_backend.contract.bodies import BodyLimit, body_limit
from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.direct import Direct
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


@dataclass(frozen=True, slots=True, eq=False)  # each is only itself: what is made of one can be kept by it
class Contract:
    """Knows requests and no server: what a server opens comes with each request, in its scope."""

    document: Document
    layers: Layers
    """Connexion's: they route, authorise and validate a request, and have its handler answer."""
    rewriting: Rewriting
    signposts: Signposts
    body_limit: BodyLimit
    plain_roots: frozenset[str]

    @classmethod
    def of(cls, document: Json) -> "Contract":
        """Takes the schemas out of `document`.

        Raises ContractError where the document, the policy and the handlers do not fit together.
        """
        refuse_unknown_authenticators(document, CHECKS)
        text = Document.of(document)
        validators = validator_map(document)
        # Most schemas are of answers, which nobody checks. What is made from here on takes the place of them in memory.
        del document["components"]["schemas"]
        return cls(
            text,
            _layers(document, validators),
            Rewriting(document["paths"]),
            Signposts(operation.path for operation in operations(document) if operation.is_answered),
            body_limit(document),
            plain_roots(document),
        )

    def answering(self, *, direct: bool) -> ASGIApp:
        """What answers requests: the layers themselves or, `direct`, what they have loaded.

        Raises ContractError where that cannot be told.
        """
        return Direct(self.layers) if direct else self.layers


def _layers(document: Json, validators: dict[str, Any]) -> Layers:
    return Layers(
        to_connexion(document),
        resolver(document),
        security_map=SECURITY_MAP,
        validator_map=validators,
        # Parameters are read once, by our own validator.
        uri_parser_class=UnreadUri,
    )
