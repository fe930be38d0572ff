"""Chats: an account's conversations with a model, kept here."""

from collections.abc import Mapping

import orjson

from llm_backend.domain.asking import CHAT_COMPLETION, TEXT_COMPLETION, Ask, Desk, Question
from llm_backend.domain.chat_errors import NoSuchChat, UnknownModelType
from llm_backend.domain.idempotency import Once
from llm_backend.domain.identity import Caller
from llm_backend.domain.names import checked
from llm_backend.domain.public_ids import public_id
from llm_backend.domain.work import Work
from llm_backend.storage import accounts, conversations, items
from llm_backend.storage.accounts import Account
from llm_backend.storage.conversations import CHAT, Conversation
from llm_backend.storage.items import Item

MODEL_TYPES = (CHAT_COMPLETION, TEXT_COMPLETION)

PREFIXES = {"instruction_prefix": "system", "user_prefix": "user", "assistant_prefix": "assistant"}
"""What stands before each role's messages in a text."""


class Chats:
    """The chats of one database. A chat of another account is as none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(
        self, caller: Caller, name: str, model_type: str = CHAT_COMPLETION, prefixes: Mapping[str, str] | None = None
    ) -> Conversation:
        """A new chat. Raises InvalidRequest where that is no name or nothing is kept for the account, UnknownModelType.

        `prefixes`: of PREFIXES, those that are not to be the usual ones.
        """
        caller.check_stores(None)
        if model_type not in MODEL_TYPES:
            raise UnknownModelType(model_type)
        usual = {prefix: self._desk.customs.prefixes[role] for prefix, role in PREFIXES.items()}
        values = {
            "public_id": public_id("conv"),
            "name": checked(name, "A chat's name"),
            "settings": orjson.dumps({"model_type": model_type, **usual, **(prefixes or {})}),
            "created_at": self._desk.clock.now(),
        }
        return await self._desk.database.detached(self._create(caller.account_id, values))

    async def of_account(self, account_id: int, name: str = "") -> list[Conversation]:
        """The account's chats with this in their name, whatever its case, by number."""
        found = await self._desk.database.detached(self._of_account(account_id))
        # Here and not in SQL: SQLite knows the case of ASCII only, and NUL is no text of PostgreSQL's.
        return [chat for chat in found if name.casefold() in (chat.name or "").casefold()]

    async def messages(
        self, account_id: int, chat_id: int, after: int | None = None, limit: int | None = None
    ) -> list[Item]:
        """What was said in a chat, oldest first: all, or the first `limit` messages behind the message `after`.

        Raises NoSuchChat.
        """
        return await self._desk.database.detached(self._messages(account_id, chat_id, after, limit))

    async def count(self, account_id: int, chat_id: int) -> int:
        """How many messages a chat has. Raises NoSuchChat."""
        return await self._desk.database.detached(self._count(account_id, chat_id))

    async def budget(self, account_id: int) -> tuple[int, int | None]:
        """The tokens that the account has used, and how many it may; None where there is no limit."""
        account = await self._desk.database.detached(self._account(account_id))
        return account.used_tokens, account.token_limit

    def ask(self, work: Work, chat_id: int, question: Question, once: Once | None = None) -> Ask:
        """A question, about to be asked; `work` says by whom, `once` with which idempotency key."""
        return Ask(self._desk, work, chat_id, question, once)

    async def _create(self, account_id: int, values: dict[str, object]) -> Conversation:
        async with self._desk.database.begin() as session:
            return await conversations.add(session, account_id, CHAT, values)

    async def _of_account(self, account_id: int) -> list[Conversation]:
        async with self._desk.database.reading() as session:
            return await conversations.of_account(session, account_id, CHAT)

    async def _messages(self, account_id: int, chat_id: int, after: int | None, limit: int | None) -> list[Item]:
        async with self._desk.database.reading() as session:
            if await conversations.find(session, account_id, CHAT, chat_id) is None:
                raise NoSuchChat(chat_id)
            return await items.messages(session, account_id, chat_id, after, limit)

    async def _count(self, account_id: int, chat_id: int) -> int:
        async with self._desk.database.reading() as session:
            chat = await conversations.find(session, account_id, CHAT, chat_id)
            if chat is None:
                raise NoSuchChat(chat_id)
            # A chat loses no items: they are numbered from 0 without a gap (I8).
            return chat.next_sequence - await items.others(session, chat_id)

    async def _account(self, account_id: int) -> Account:
        async with self._desk.database.reading() as session:
            found = await accounts.find(session, account_id)
        if found is None:
            raise AssertionError("Who asks has an account.")
        return found
