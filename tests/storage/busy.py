"""Everything that a server does with its database while it serves, done once."""

from dataclasses import replace

from llm_backend.contract.operations import Operation
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.domain.entries import Entry, Void
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.transaction import Transaction
from llm_backend.domain.webhooks import Endpoint, Webhooks
from llm_backend.storage.database import Database
from llm_backend.storage.ledger import statements
from llm_backend.storage.ledger_rows import Abandoned
from tests.domain.booked import TERMS, Books
from tests.storage.watching import Watched
from tests.whole.access import World, names
from tests.whole.good_requests import bearer, every_operation, good_request, in_order, is_for_admin

MODELS = '[models."echo*"]\ncontext_length = 4000\n'
"""Of a chat as much is read as a model of this size reads."""

PAGE = {"limit": "20"}
"""As clients ask that have much to read."""

NOBODY = Endpoint.of("http://127.0.0.1:9/", "a secret")
"""Whom the webhook's events never reach."""


async def ask_everything(world: World, watched: Watched) -> None:
    """Ask every operation that is answered here, lists by page, and what only headers and bodies make different."""
    for operation in in_order([each for each in every_operation() if each.is_answered]):
        watched.asking = operation.id
        who = "administrator" if is_for_admin(operation) else "owner"
        page = PAGE if "limit" in names(operation, "query") else {}
        answer = await world.ask(who, good_request(operation, world.own), **page)
        assert answer.status_code < 500, (operation.id, answer.text)
        await _is_done(world)
        if operation.id == "createChatCompletion":
            await _ask_twice(world, operation)
            await _ask_with_keys_of_all_kinds(world)


async def _ask_twice(world: World, operation: Operation) -> None:
    """Streamed, and again under an idempotency key."""
    headers = bearer(world.tokens["owner"]) | {"idempotency-key": "the same"}
    body = good_request(operation).body["json"]
    for stream in (True, False, False):
        sent = headers if not stream else bearer(world.tokens["owner"])
        answer = await world.client.post("/v1/chat/completions", json=body | {"stream": stream}, headers=sent)
        assert answer.status_code == 200, answer.text
        await _is_done(world)


async def _ask_with_keys_of_all_kinds(world: World) -> None:
    """Refused ones among them, and one that could be another system's."""
    for token in (*world.tokens.values(), "sk-of-another-system-0123456789"):
        await world.client.get("/v1/models", headers=bearer(token))
    await _is_done(world)


async def _is_done(world: World) -> None:
    await world.running.quiet()
    await world.running.database.settled()


async def keep_books(database: Database, watched: Watched) -> None:
    """What the ledger does beside requests that go well: lateness, leases, the dead, end users, webhooks."""
    watched.asking = "the ledger"
    books = await Books.of(database, token_limit=100)
    ledger = books.ledger
    late, kept, alone, one, another = [await books.reserved() for _ in range(5)]
    user = EndUser("alice", EndUserTerms(token_limit=50))
    await ledger.reserve(books.asks(end_user=user))
    # Settled by another, as if its process had died, and then by itself.
    await ledger.enter(books.settles(late, prompt=40, completion=40))
    await ledger.enter(books.settles(late))
    await ledger.beat([kept, alone], {kept: 1})
    await ledger.enter(Void("never reserved", books.account.id))
    # Some at once, where most come alone.
    strangers = [books.asks(account_id=0), books.asks(key_id="a key"), books.asks(key_id="another key")]
    several: list[Entry] = [books.asks(), *strangers, books.settles(one), books.settles(another)]
    await database.write(Transaction(statements(is_sqlite=database.is_sqlite), TERMS, several).plan())

    def crashed(left: Abandoned) -> Void:
        return Void(left.attempt_id, left.account_id)

    await Ledger(database, replace(TERMS, owner="another process")).sweep(crashed, others=True)
    await ledger.sweep(crashed)
    await ledger.prune()
    await Webhooks(database, NOBODY, SystemClock()).send_due()
