"""Everything that a server does with its database while it serves, done once."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import insert

from llm_backend.contract.operations import Operation
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.domain.entries import Entry, Void
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.retention import Retention
from llm_backend.domain.transaction import Transaction
from llm_backend.domain.webhooks import Endpoint, Webhooks
from llm_backend.errors import Json
from llm_backend.storage import conversations, response_events, responses
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan
from llm_backend.storage.ledger import statements
from llm_backend.storage.ledger_rows import Abandoned
from llm_backend.storage.response_events import Events
from llm_backend.storage.state_writes import StateWrites, state_writes
from llm_backend.storage.tables import account, conversation, response
from tests.domain.belongings import a_response
from tests.domain.booked import TERMS, Books
from tests.storage.records import NOON
from tests.storage.watching import Watched
from tests.whole.access import World, names
from tests.whole.good_requests import bearer, every_operation, good_request, in_order, is_for_admin

MODELS = '[models."echo*"]\ncontext_length = 4000\n'
"""Of a chat as much is read as a model of this size reads."""

PAGE = {"limit": "20"}
"""As clients ask that have much to read."""

ASKED: Json = {"model": "echo", "input": "Hello"}

TALK = {"settings": b"{}", "created_at": NOON}

LONG_AGO = NOON - timedelta(days=1000)

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
        if operation.id == "listConversationItems":
            await world.ask(who, good_request(operation, world.own), **PAGE, after=world.own["item_id"])
        if operation.id == "createConversationItems":
            await _ask_to_add(world)
        if operation.id == "createResponse":
            await _ask_on(world)
        if operation.id == "createChatCompletion":
            await _ask_twice(world, operation)
            await _ask_with_keys_of_all_kinds(world)


async def _ask_to_add(world: World) -> None:
    """A copy of an item, and one that a provider sealed."""
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    items = [{"type": "item_reference", "id": world.own["item_id"]}, sealed]
    path = f"/v1/conversations/{world.own['conversation_id']}/items"
    answer = await world.client.post(path, json={"items": items}, headers=bearer(world.tokens["owner"]))
    assert answer.status_code == 200, answer.text


async def _ask_on(world: World) -> None:
    """Responses that go on from others, branch off, belong to a conversation, and are read again."""
    headers, path = bearer(world.tokens["owner"]), "/v1/responses"
    first = (await world.client.post(path, json=ASKED, headers=headers)).json()["id"]
    within = {"conversation": world.own["conversation_id"]}
    ways: list[Json] = [{"previous_response_id": first}, {"previous_response_id": first, "truncation": "auto"}, within]
    kinds: list[Json] = [
        {},
        {"stream": True},
        {"store": False},
        {"background": True},
        {"input": [{"type": "item_reference", "id": world.own["item_id"]}]},
    ]
    for body in (way | kind for way in ways for kind in kinds):
        answer = await world.client.post(path, json=ASKED | body, headers=headers)
        assert answer.status_code == 200, answer.text
        await _is_done(world)
    one = (await world.client.post(path, json=ASKED | {"background": True, "stream": False}, headers=headers)).json()
    for request in (f"{path}/{one['id']}?stream=true", f"{path}/{one['id']}", f"{path}/{first}/input_items"):
        assert (await world.client.get(request, headers=headers)).status_code < 500
    await world.client.post(f"{path}/{one['id']}/cancel", headers=headers)
    await _is_done(world)
    await world.client.delete(f"{path}/{one['id']}", headers=headers)


async def keep_responses(database: Database, watched: Watched) -> None:
    """What is done beside requests for responses: leases, those whose process died, those with too many events."""
    watched.asking = "the responses"
    async with database.begin() as session:
        made = insert(account).values(name="asking", created_at=NOON).returning(account.c.id)
        account_id = (await session.execute(made)).scalar_one()
        begun = a_response(account_id, "resp_begun") | {"status": "queued", "ended_at": None, "owner": "one"}
        number = await responses.add(session, begun | {"lease_until": LONG_AGO})
        await responses.claim(session, account_id, "resp_begun", "one")
        await responses.renew(session, "one", ["resp_begun"])
        await responses.cancel(session, account_id, "resp_begun")
        await responses.change(session, account_id, "resp_begun", {"status": "failed"})
        await responses.overdue(session, "another")
        await responses.overdue(session, "another", others=True)
        await response_events.add(session, account_id, number, Events(0, 1, b""))
        await response_events.after(session, account_id, number, -1, 32)
        await response_events.last(session, account_id, number)
        talk = await conversations.add(
            session, account_id, "response", {"public_id": "conv_t", "settings": b"{}", "created_at": NOON}
        )
    await database.write(_kept(state_writes(is_sqlite=database.is_sqlite), account_id, talk.id))


def _kept(writes: StateWrites, account_id: int, talk_id: int) -> Plan[None]:
    """Whatever the settlement of a response may write."""
    told = a_response(account_id, "resp_told")
    [(number,)] = yield writes.response(told)
    yield writes.open(a_response(account_id, "resp_at_a_turn"))
    yield writes.conversation(
        {
            "public_id": "conv_u",
            "account_id": account_id,
            "kind": "response",
            "settings": b"{}",
            "created_at": NOON,
            "next_sequence": 0,
        }
    )
    yield writes.advance(account_id, talk_id, 1, None)
    yield writes.advance(account_id, talk_id, 1, 1)
    yield writes.events({"response_id": number, "account_id": account_id, "first": 0, "last": 0, "frames": b""})
    yield writes.events_of([{"response_id": number, "account_id": account_id, "first": 1, "last": 1, "frames": b""}])
    yield writes.number(account_id, "resp_told")
    yield writes.held(account_id, "resp_told", "one")
    yield writes.held_of(["resp_told"], "one")
    yield writes.last_event({"response_id": number, "account_id": account_id})
    yield writes.end(account_id, "resp_told", told)
    yield writes.no_events({"response_id": number, "account_id": account_id})
    yield writes.keep_no_events({"response_id": number, "account_id": account_id})


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


async def forget(database: Database, watched: Watched) -> None:
    """Take away what is kept no longer: a conversation, an answer in it, and one that was not stored."""
    watched.asking = "the retention"
    async with database.begin() as session:
        made = insert(account).values(name="short", created_at=LONG_AGO, retention_days=1).returning(account.c.id)
        account_id = (await session.execute(made)).scalar_one()
        said = {"public_id": "conv_old", "account_id": account_id, "kind": "conversation", "settings": b"{}"}
        made = insert(conversation).values(**said, created_at=LONG_AGO).returning(conversation.c.id)
        within = {"conversation_id": (await session.execute(made)).scalar_one(), "created_at": LONG_AGO}
        await session.execute(insert(response).values(a_response(account_id, "resp_old") | within))
        untold = a_response(account_id, "resp_untold") | {"is_stored": False, "events_until": LONG_AGO}
        await session.execute(insert(response).values(untold))
        # Of a conversation on its way out whatever is left goes, however new it is.
        said = {**said, "public_id": "conv_expired", "kind": "expired"}
        made = insert(conversation).values(**said, created_at=LONG_AGO).returning(conversation.c.id)
        within = {"conversation_id": (await session.execute(made)).scalar_one(), "created_at": SystemClock().now()}
        await session.execute(insert(response).values(a_response(account_id, "resp_new") | within))
    await Retention(database).tidy()
