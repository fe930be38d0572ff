"""The parts that handlers work with."""

from dataclasses import dataclass

from llm_backend.domain.account_budgets import AccountBudgets
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.authentication import AdminToken, Authentication, OpenDoor
from llm_backend.domain.batches import Batches
from llm_backend.domain.chats import Chats
from llm_backend.domain.completions.resuming import ResumableCompletions
from llm_backend.domain.completions.stored import StoredCompletions
from llm_backend.domain.conversations import Conversations
from llm_backend.domain.directory import Directory
from llm_backend.domain.document import Document
from llm_backend.domain.erasure import Erasure
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.explanations import Explanations
from llm_backend.domain.exports import Exports
from llm_backend.domain.frontends import Frontends
from llm_backend.domain.idempotency import Idempotency
from llm_backend.domain.keys import Keys
from llm_backend.domain.own_lists import OwnLists
from llm_backend.domain.readiness import Readiness
from llm_backend.domain.relaying import Relaying
from llm_backend.domain.reports import Reports
from llm_backend.domain.responses.responses import Responses
from llm_backend.domain.users import Users
from llm_backend.metrics import Metrics
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class Services:
    """Made once by the composition root, found on every call."""

    authentication: Authentication | OpenDoor
    admin: AdminToken
    accounts: Accounts
    batches: Batches
    budgets: AccountBudgets
    keys: Keys
    users: Users
    directory: Directory
    reports: Reports
    explanations: Explanations
    exports: Exports
    erasure: Erasure
    catalogue: Catalogue
    upstreams: Upstreams
    exchanges: Exchanges
    frontends: Frontends
    chats: Chats
    completions: StoredCompletions
    conversations: Conversations
    relaying: Relaying
    responses: Responses
    resumable: ResumableCompletions
    own_lists: OwnLists
    idempotency: Idempotency
    readiness: Readiness
    metrics: Metrics
    document: Document
