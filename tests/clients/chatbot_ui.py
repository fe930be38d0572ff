"""A reader as strict as chatbot-ui's edge route: what that would show, and where it would die.

It decodes each piece of a body by itself, parses every event's data as JSON, reads the first choice of each, closes at
the first finish reason, and appends whatever `delta.content` is, `null` included.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

KNOWN_MODELS = frozenset({"gpt-3.5-turbo", "gpt-35-turbo", "gpt-4", "gpt-4-32k"})
"""The ids in its own table; it offers no others."""


class UiError(Exception):
    """What the UI shows instead of an answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer as its user sees it."""

    text: str
    ending: Literal["closed", "errored", "hanging"]
    """Hanging: the body ended, and the page goes on waiting."""


class ChatbotUi:
    """The server side of the UI: no browser, so no CORS; `key` is the one typed in, else the text "undefined"."""

    def __init__(self, host: str, key: str = "undefined", *, organization: str | None = None) -> None:
        self._host = host
        # A content type even on a GET without a body.
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        if organization:
            self._headers["openai-organization"] = organization

    async def models(self) -> list[str]:
        """The models it offers, in the order listed. Raises UiError."""
        async with self._session() as session, session.get(f"{self._host}/v1/models") as answer:
            if answer.status != 200:
                raise UiError("OpenAI API returned an error" if answer.status != 401 else await answer.text())
            listed = (await answer.json(content_type="application/json"))["data"]
        return [model["id"] for model in listed if model["id"] in KNOWN_MODELS]

    async def chat(self, model: str, *said: str, temperature: float = 1) -> Shown:
        """Ask, and show what comes. Raises UiError where no stream begins."""
        roles = ("user", "assistant")
        messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]
        body = {
            "model": model,
            "messages": [{"role": "system", "content": "Follow the user's words."}, *messages],
            "max_tokens": 1000,
            "temperature": temperature,
            "stream": True,
        }
        async with self._session() as session, session.post(self._chat_url(model), data=json.dumps(body)) as answer:
            if answer.status != 200:
                raise UiError(await _message(answer))
            return await _shown(answer)

    async def plug_in(self, model: str, said: str) -> str:
        """Ask as its search plug-in does: for a whole answer."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": said}],
            "max_tokens": 1000,
            "temperature": 1,
            "stream": False,
        }
        async with self._session() as session, session.post(self._chat_url(model), data=json.dumps(body)) as answer:
            content = (await answer.json())["choices"][0]["message"]["content"]
        return str(content).strip()

    def _chat_url(self, model: str) -> str:
        return f"{self._host}/v1/chat/completions"

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self._headers)


class AzureChatbotUi(ChatbotUi):
    """The same with `OPENAI_API_TYPE=azure`: another path, another header for the key, the model in the path alone."""

    def __init__(self, host: str, key: str) -> None:
        super().__init__(host, key)
        self._headers = {"content-type": "application/json", "api-key": key}

    def _chat_url(self, model: str) -> str:
        return f"{self._host}/openai/deployments/{model}/chat/completions?api-version=2023-03-15-preview"


async def _message(answer: aiohttp.ClientResponse) -> str:
    """The envelope's message; the bare status text where there is none. Raises ValueError where it is not JSON."""
    error = json.loads(await answer.read()).get("error")
    return str(error["message"]) if error else str(answer.reason)


async def _shown(answer: aiohttp.ClientResponse) -> Shown:
    text = ""
    try:
        async for data in _events(answer.content):
            choice = _strictly(data)["choices"][0]
            if choice.get("finish_reason") is not None:
                return Shown(text, "closed")
            text += _printed(choice["delta"])
    except (ValueError, KeyError, IndexError, TypeError, aiohttp.ClientError):
        return Shown(text, "errored")
    return Shown(text, "hanging")


async def _events(content: aiohttp.StreamReader) -> Any:
    """The data of each event. Every byte counts as a piece of its own: no network could cut worse."""
    waiting = ""
    async for piece in content.iter_any():
        waiting += "".join(bytes((byte,)).decode("utf-8", "replace") for byte in piece)
        *blocks, waiting = waiting.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        for block in blocks:
            lines = [_value(line) for line in block.split("\n") if line.startswith("data")]
            if lines:
                yield "\n".join(lines)


def _value(line: str) -> str:
    return line.partition(":")[2].removeprefix(" ")


def _strictly(data: str) -> Any:
    """As JSON.parse: no NaN, no infinity."""

    def refused(constant: str) -> Iterator[None]:
        raise ValueError(constant)

    return json.loads(data, parse_constant=refused)


def _printed(delta: dict[str, Any]) -> str:
    """What JavaScript makes of the content when it is encoded as text: of a missing one, nothing."""
    if "content" not in delta:
        return ""
    return "null" if delta["content"] is None else str(delta["content"])
