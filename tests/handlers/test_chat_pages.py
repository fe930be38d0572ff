"""A chat's messages, some at a time."""

from tests.handlers.administering import Admin
from tests.handlers.chatting import chatting
from tests.serving import Running


async def test_messages_are_read_by_page(running: Running, admin: Admin) -> None:
    async with chatting(running) as student:
        chat, other = await student.chat(), await student.chat()
        for number in range(2):
            await student.ask(chat, f"question {number}")
        await student.ask(other, "elsewhere")
        every = await student.get(f"/{chat}/messages")
        of_other = await student.get(f"/{other}/messages")

        first = await student.get(f"/{chat}/messages?limit=3")
        rest = await student.get(f"/{chat}/messages?limit=1000&after={first[-1]['id']}")

        assert [*first, *rest] == every
        assert len(first) == 3
        assert await student.get(f"/{chat}/messages?after={of_other[0]['id']}") == []
        path = f"/accounts/{running.account_id}/chats/{chat}/messages?limit=3&after={every[0]['id']}"
        assert await admin.ask("GET", path) == every[1:]
        assert await student.get(f"/{chat}/num_messages") == {"num_messages": 4}
