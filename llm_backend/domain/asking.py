"""One question to a chat: put to a model with all that was said before, kept together with what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.chat_errors import BudgetReached, NoSuchChat, told
from llm_backend.domain.clock import Clock
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.histories import UNSAID, Continuation, Form, Line, Messages, Sizes, Turn, turns
from llm_backend.domain.idempotency import Once
from llm_backend.domain.public_ids import public_id
from llm_backend.domain.recall import recall
from llm_backend.domain.work import Work
from llm_backend.errors import ClientLeft, DatabaseUnavailable, Json, LLMBackendError, UpstreamRejected
from llm_backend.model_ids import seems_to_chat
from llm_backend.storage import accounts, conversations, items
from llm_backend.storage.accounts import Account
from llm_backend.storage.conversations import CHAT, Conversation
from llm_backend.storage.database import Database
from llm_backend.storage.items import Item
from llm_backend.upstream.catalogue import Catalogue

CHAT_COMPLETION, TEXT_COMPLETION = "chat_completion", "text_completion"

USUAL_MODELS = {CHAT_COMPLETION: "gpt-3.5-turbo", TEXT_COMPLETION: "gpt-3.5-turbo-instruct"}
"""By the type of a chat: what answers where a deployment names none."""

CONTEXT_EXCEEDED = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Customs:
    """What holds where a client does not say; all of it a deployment may set."""

    models: Mapping[str, str | None]
    """By the type of a chat; None: `USUAL_MODELS`, or the first that chats, where the upstream does not list those."""
    temperature: float
    prefixes: Mapping[str, str]
    """By role."""
    soft_limit_percent: int
    """Of the budget: from there on a question is answered with a warning."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks."""

    content: str
    instruction: str | None = None
    """Said before it, and again whenever the chat is read."""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    """Of `model_args`, what the client gave."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What questions are put with."""

    database: Database
    clock: Clock
    catalogue: Catalogue
    exchanges: Exchanges
    customs: Customs


@dataclass(frozen=True, slots=True)
class Told:
    """What the client is told."""

    message: Item
    is_over_soft_limit: bool
    """Whether the account was, when it asked."""


class Ask:
    """A question on its way. The chat is read before and written after, and nothing is held while the model answers."""

    def __init__(self, desk: Desk, work: Work, chat_id: int, question: Question, once: Once | None) -> None:
        """`work`: who asks, and by which operation; `once`: the idempotency key that it was asked with."""
        self._desk = desk
        self._work = work
        self._once = once
        self._chat_id = chat_id
        self._arguments = {"temperature": desk.customs.temperature, **UNSAID, **question.arguments}
        instructions = () if question.instruction is None else (Line("system", question.instruction),)
        self._new: Turn = (*instructions, Line("user", question.content))
        self._answer_id = public_id("msg")
        self._exchange: Exchange | None = None
        self._is_left = False

    @property
    def summary(self) -> Mapping[str, int | str]:
        """What the access log may say of it."""
        if self._exchange is None:
            return {}
        return {"model": self._exchange.work.body["model"], **self._exchange.summary}

    def abandon(self) -> None:
        """The client has gone: what is not yet answered is given up."""
        self._is_left = True
        if self._exchange is not None:
            self._exchange.abandon()

    async def answer(self) -> Told:
        """The answer, kept with its question.

        Raises NoSuchChat, BudgetReached, InvalidRequest where nothing is kept for the account, PermissionDenied where
        the key is not for the model that answers, all before anything is sent, and the upstream's failures: then
        nothing is kept.
        """
        self._work.caller.check_stores("chat_id")
        account, chat = await self._desk.database.detached(self._read())
        if self._once is not None:
            self._once.makes(chat.public_id)
        is_over = _is_over(account, self._desk.customs.soft_limit_percent)
        form = form_of(chat)
        try:
            model = await self._model(chat)
            sizes = await self._sizes(model)
            said = await self._desk.database.detached(self._said(chat, form, sizes))
            await self._put(form, model, sizes, turns(said))
        except LLMBackendError as error:
            known = told(error)
            if known is error:
                raise
            raise known from error
        return Told(await self._desk.database.detached(self._kept()), is_over)

    async def _put(self, form: Form, model: str, sizes: Sizes, before: list[Turn]) -> None:
        """Ask, with ever less of the history where the upstream finds it too long."""
        while True:
            lines = form.fitting(before, self._new, self._arguments["max_tokens"], sizes)
            try:
                await self._exchanged(form, {"model": model, **form.body(lines, self._arguments, sizes)})
            except UpstreamRejected as error:
                if error.code != CONTEXT_EXCEEDED or not before:
                    raise
                before = before[(len(before) + 1) // 2 :]
            else:
                return

    async def _exchanged(self, form: Form, body: Json) -> None:
        async def keep(session: AsyncSession, attempt_id: str, answer: Json) -> None:
            await self._keep(session, attempt_id, form.said(answer))

        work = self._work._replace(
            path=form.trade.path,
            body=body,
            streamed=False,
            overshoots=True,
            unknown_is_void=True,
            keep=keep,
        )
        if self._is_left:
            raise ClientLeft
        self._exchange = exchange = await self._desk.exchanges.whole(work, form.trade)
        if self._is_left:
            exchange.abandon()
        await exchange.answer()

    async def _keep(self, session: AsyncSession, attempt_id: str, answer: str) -> None:
        """In the transaction that charges the attempt: the question, and what was answered."""
        if self._once is not None:
            self._once.charged()
        account_id, lines = self._work.caller.account_id, (*self._new, Line("assistant", answer))
        first = await conversations.advance(session, account_id, self._chat_id, len(lines))
        if first is None:
            # Erased while the model answered: it costs all the same.
            return
        now = self._desk.clock.now()
        usual = {"conversation_id": self._chat_id, "account_id": account_id, "kind": "message", "status": "completed"}
        rows = [
            usual
            | {
                "public_id": public_id("msg"),
                "role": line.role,
                "content": orjson.dumps(line.content),
                "details": None,
                "sequence": sequence,
                "attempt_id": attempt_id,
                "created_at": now,
            }
            for sequence, line in enumerate(lines, first)
        ]
        rows[-1] |= {"public_id": self._answer_id, "details": orjson.dumps({"model_args": self._arguments})}
        await items.add(session, rows)

    async def _model(self, chat: Conversation) -> str:
        """Who answers in this chat."""
        kind = orjson.loads(chat.settings)["model_type"]
        named = self._desk.customs.models[kind]
        return named or await self._standing_in(USUAL_MODELS[kind])

    async def _standing_in(self, usual: str) -> str:
        """`usual`, unless the upstream says that it has none of that name."""
        try:
            listed = await self._desk.catalogue.names()
        except LLMBackendError:
            return usual
        if usual in listed:
            return usual
        return self._desk.catalogue.default_model or next(filter(seems_to_chat, listed), usual)

    async def _sizes(self, model: str) -> Sizes:
        known = (await self._desk.catalogue.plan(model, self._work.caller.allows)).route.model
        return Sizes(known.context_length, known.max_output_tokens) if known else Sizes(None, None)

    async def _read(self) -> tuple[Account, Conversation]:
        account_id = self._work.caller.account_id
        async with self._desk.database.reading() as session:
            chat = await conversations.find(session, account_id, CHAT, self._chat_id)
            account = await accounts.find(session, account_id)
            if chat is None or account is None:
                raise NoSuchChat(self._chat_id)
            if _is_spent(account):
                raise BudgetReached
        return account, chat

    async def _said(self, chat: Conversation, form: Form, sizes: Sizes) -> list[Line]:
        room = form.room(self._new, self._arguments["max_tokens"], sizes)
        async with self._desk.database.reading() as session:
            return await recall(session, chat, form, room)

    async def _kept(self) -> Item:
        """The answer as it stands in the database: what is not there was not answered."""
        account_id = self._work.caller.account_id
        async with self._desk.database.reading() as session:
            found = await items.find(session, account_id, self._answer_id)
            if found is None and await conversations.find(session, account_id, CHAT, self._chat_id) is None:
                raise NoSuchChat(self._chat_id)
        if found is None:
            raise DatabaseUnavailable
        return found


def form_of(chat: Conversation) -> Form:
    """How this chat is put to a model."""
    settings = orjson.loads(chat.settings)
    if settings["model_type"] == CHAT_COMPLETION:
        return Messages()
    roles = {"system": "instruction", "user": "user", "assistant": "assistant"}
    return Continuation({role: settings[f"{name}_prefix"] for role, name in roles.items()})


def _limits(account: Account) -> list[tuple[int, int]]:
    """What was used of each limit, and the limit."""
    pairs = (
        (account.used_tokens, account.token_limit),
        (account.used_microusd, account.microusd_limit),
    )
    return [(used, limit) for used, limit in pairs if limit is not None]


def _is_spent(account: Account) -> bool:
    return any(used >= limit for used, limit in _limits(account))


def _is_over(account: Account, percent: int) -> bool:
    return any(used * 100 >= limit * percent for used, limit in _limits(account))
