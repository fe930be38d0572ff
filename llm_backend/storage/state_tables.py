"""What is kept of what models and their users said: conversations, their items, and the answers of models."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from llm_backend.storage.columns import IDENTITY, Moment, metadata

conversation = Table(
    "conversation",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    # 'chat' for those of `/api/chats`, 'conversation' for those of `/v1/conversations`, 'response' for what responses
    # that go on from one another have said, 'completion' for a stored chat completion; 'expired' for whichever of
    # them is kept no longer, and on its way out.
    Column("kind", Text, nullable=False),
    Column("name", Text),
    # What the kind keeps of its own, as a JSON object.
    Column("settings", LargeBinary, nullable=False),
    # The sequence of the next item: gapless, for it moves in the transaction that writes the item.
    Column("next_sequence", BigInteger, nullable=False, server_default=text("0")),
    # What was said before its first item: the items of the conversation with this public id in front of that sequence.
    Column("parent_id", Text),
    Column("parent_sequence", BigInteger),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Index(None, "account_id", "kind"),
    Index(None, "account_id", "created_at"),
    sqlite_autoincrement=True,
)
HAS_PARENT = text("parent_id IS NOT NULL")
Index("ix_conversation_parent_id", conversation.c.parent_id, sqlite_where=HAS_PARENT, postgresql_where=HAS_PARENT)

item = Table(
    "item",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("conversation_id", ForeignKey("conversation.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    # The type of a response's item: 'message', 'function_call', …
    Column("kind", Text, nullable=False),
    Column("role", Text),
    Column("status", Text, nullable=False),
    # JSON as bytes: it may hold what no text column of PostgreSQL takes. What a message says; of others all but the id.
    Column("content", LargeBinary, nullable=False),
    Column("details", LargeBinary),
    Column("sequence", BigInteger, nullable=False),
    # The attempt at an upstream that it came from.
    Column("attempt_id", Text),
    # Under which an upstream knows it, and its client too: see `domain/items.py`.
    Column("upstream_id", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    CheckConstraint("status IN ('completed', 'incomplete')", name="status"),
    UniqueConstraint("conversation_id", "sequence"),
    sqlite_autoincrement=True,
)
KNOWN_UPSTREAM = text("upstream_id IS NOT NULL")
IS_NO_MESSAGE = text("item.kind <> 'message'")
Index(
    "ix_item_no_message",
    item.c.conversation_id,
    sqlite_where=text("kind <> 'message'"),
    postgresql_where=text("kind <> 'message'"),
)
Index(
    "ix_item_account_id_upstream_id",
    item.c.account_id,
    item.c.upstream_id,
    sqlite_where=KNOWN_UPSTREAM,
    postgresql_where=KNOWN_UPSTREAM,
)

# What a model answered, where that is kept or may be read again from any of its events on.
response = Table(
    "response",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    # 'response' or 'chat.completion'.
    Column("kind", Text, nullable=False),
    # Whether it is there for its account; else only its events are, as long as they are kept.
    Column("is_stored", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    # Where its items stand: its input from the first sequence on, its output from the second to in front of the last.
    Column("conversation_id", ForeignKey("conversation.id"), index=True),
    Column("first_sequence", BigInteger),
    Column("output_sequence", BigInteger),
    Column("end_sequence", BigInteger),
    # All that is shown of it but its items, as a JSON object.
    Column("body", LargeBinary, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("attempt_id", Text),
    # Of one made in the background, what was asked and by which key: while nothing was sent, it can be begun again.
    Column("request", LargeBinary),
    Column("key_id", Text),
    # The process that makes it; while the lease is ahead, it is being made.
    Column("owner", Text),
    Column("lease_until", Moment),
    Column("is_cancelled", Boolean, nullable=False, server_default=false()),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("events_until", Moment),
    CheckConstraint("kind IN ('response', 'chat.completion')", name="kind"),
    CheckConstraint(
        "status IN ('queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled')", name="status"
    ),
    Index(None, "account_id", "kind", "id"),
    Index(None, "account_id", "created_at"),
    sqlite_autoincrement=True,
)
for _moment in ("lease_until", "events_until"):
    _there = text(f"{_moment} IS NOT NULL")
    Index(f"ix_response_{_moment}", response.c[_moment], sqlite_where=_there, postgresql_where=_there)

# What a client of a stream was told, some events at a time: framed, so that it can be told again as it was.
response_event = Table(
    "response_event",
    metadata,
    Column("response_id", ForeignKey("response.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    # The numbers of the first and the last of them.
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("frames", LargeBinary, nullable=False),
    PrimaryKeyConstraint("response_id", "first"),
)
