"""A dialogue by way of responses, held with one server: whatever comes is judged as it comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson

from llm_backend.errors import Json
from tests.domain.responses.strict import FINALS, check_items, check_shape, check_stream
from tests.serving import Running

OUTPUTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""What answers a call, by its type."""


@dataclass
class Talk:
    """One dialogue. `way`: how a turn goes on from those before it."""

    running: Running
    client: aiohttp.ClientSession
    way: str
    said: list[Json] = field(default_factory=list)
    """All items so far, as a client that keeps them itself has them."""
    events: list[Json] = field(default_factory=list)
    """Those of the last turn; none where it did not stream."""
    _open: list[Json] = field(default_factory=list)
    _conversation: str = ""
    _previous: str | None = None

    async def turn(self, body: Json, texts: Sequence[str], *, streamed: bool) -> Json:
        """Say the texts, behind the results of what was called last; the response."""
        given = [_result(call, f"{call['name']} gave this") for call in self._open]
        given += [{"role": "user", "content": text} for text in texts]
        answer = await self._ask(body | await self._place(given), streamed=streamed)
        check_items(answer["output"])
        self.said += [*given, *answer["output"]]
        self._open = [item for item in answer["output"] if item["type"] in OUTPUTS]
        self._previous = answer["id"]
        await self._check_kept(answer)
        return answer

    async def _place(self, given: list[Json]) -> Json:
        if self.way == "value":
            return {"input": [*self.said, *given], "store": False}
        if self.way == "previous":
            return {"input": given, "previous_response_id": self._previous}
        if not self._conversation:
            self._conversation = (await self._json("POST", "/conversations", {}))["id"]
        return {"input": given, "conversation": self._conversation}

    async def _ask(self, body: Json, *, streamed: bool) -> Json:
        self.events = []
        if not streamed:
            answer = await self._json("POST", "/responses", body)
            check_shape({"type": "response.completed", "sequence_number": 0, "response": answer})
            return answer
        async with self.client.post(self._url("/responses"), json=body | {"stream": True}) as reply:
            content = await reply.read()
            assert reply.status == 200, content
        self.events = events_in(content)
        check_stream(self.events)
        return self.events[-1]["response"]

    async def _check_kept(self, answer: Json) -> None:
        """It is shown again as it was told, and so are its items where they belong to a conversation."""
        if self.way == "value":
            return
        assert await self._json("GET", f"/responses/{answer['id']}") == answer
        if self.way == "conversation":
            page = await self._json("GET", f"/conversations/{self._conversation}/items?limit=100&order=asc")
            assert [item["type"] for item in page["data"]] == [item.get("type", "message") for item in self.said]
            assert page["data"][len(page["data"]) - len(answer["output"]) :] == answer["output"]

    async def _json(self, method: str, path: str, body: Json = None) -> Json:
        async with self.client.request(method, self._url(path), json=body) as reply:
            content = await reply.read()
            assert reply.status == 200, content
            return orjson.loads(content)

    def _url(self, path: str) -> str:
        return self.running.base_url + path


def events_in(content: bytes) -> list[Json]:
    """The events of a stream of responses, each of which is named by its type; the last of them is a final one."""
    assert content.isascii()
    *blocks, rest = content.decode().split("\n\n")
    assert rest == ""
    events = [_event(block) for block in blocks if block != ": keep-alive"]
    assert events[-1]["type"] in FINALS
    return events


def _event(block: str) -> Json:
    name, data = block.split("\n")
    event = orjson.loads(data.removeprefix("data: "))
    assert name == f"event: {event['type']}"
    return event


def _result(call: Json, text: str) -> Json:
    return {"type": OUTPUTS[call["type"]], "call_id": call["call_id"], "output": text}
