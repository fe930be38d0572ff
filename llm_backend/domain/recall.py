"""What was said in a chat, read from its end backwards and no further than a model reads it."""

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.histories import Form, Line
from llm_backend.domain.items import text
from llm_backend.storage import items
from llm_backend.storage.conversations import Conversation

FIRST_LINES = 16
"""Read at once; each further page is twice as long as the one before."""

SPOKEN_AS = {"developer": "system"}
"""Roles that chats do not know."""


async def recall(session: AsyncSession, chat: Conversation, form: Form, room: int | None) -> list[Line]:
    """The last lines of a chat, oldest first: all of them, or at least as many as have more than `room` tokens.

    In the second case the first of them may be the end of a turn only: that turn does not fit either.
    """
    lines: list[Line] = []
    before, most = chat.next_sequence, None if room is None else FIRST_LINES
    while room is None or room >= 0:
        found = await items.said_before(session, chat.account_id, chat.id, before, most)
        for each in found:
            role = each.role or ""
            lines.append(Line(SPOKEN_AS.get(role, role), text(orjson.loads(each.content))))
            before = each.sequence
            if room is not None:
                room -= form.size_tokens(lines[-1])
        if most is None or len(found) < most:
            break
        most *= 2
    return lines[::-1]
