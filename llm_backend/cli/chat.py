"""`llm-backend chat`: talk to the server from a terminal, through the official SDK."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from llm_backend.cli.development import API_KEY, kept
from llm_backend.model_ids import seems_to_chat

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from openai.types.chat import ChatCompletionMessageParam


def chat(
    model: Annotated[
        str | None, typer.Argument(help="Default: DEFAULT_MODEL, else the first one listed that chats.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Default: the server of this folder's settings, on this machine.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="LLM_BACKEND_KEY", help="Default: the development key of `make run`.")
    ] = None,
) -> None:
    """Ask line by line, with the answers streamed; an empty line or the end of the input ends it."""
    import openai  # noqa: PLC0415 (slow to import, and no other command needs it)

    url, default_model = (base_url, None) if base_url else _own_server()
    # In open mode any text is a key.
    client = openai.OpenAI(base_url=url, api_key=key or kept(API_KEY) or "none")
    try:
        _converse(client, model or default_model or _first_model(client))
    except openai.APIStatusError as error:
        sys.exit(f"The server refused: {_reason(error)}")
    except openai.APIConnectionError:
        sys.exit(f"No server answers at {url}. `make run` starts one; PORT or --base-url says where another is.")
    except openai.APIError as error:
        sys.stdout.write("\n")
        sys.exit(f"The answer broke off: {error.message}")


def _own_server() -> tuple[str, str | None]:
    """Where the server listens that these settings start, and its default model."""
    from llm_backend.settings import load_settings  # noqa: PLC0415 (needed only where no address is given)

    settings = load_settings()
    return f"http://127.0.0.1:{settings.port}/v1", settings.default_model


def _first_model(client: "OpenAI") -> str:
    name = next((model.id for model in client.models.list().data if seems_to_chat(model.id)), None)
    if name is None:
        sys.exit("The server lists no model that chats: name one, as in `llm-backend chat MODEL`.")
    return name


def _reason(error: "APIStatusError") -> str:
    """What the server says, without the status and the envelope that the SDK writes around it."""
    envelope = error.body
    said = envelope.get("message") if isinstance(envelope, dict) else None
    return said if isinstance(said, str) else error.message


def _converse(client: "OpenAI", model: str) -> None:
    messages: list[ChatCompletionMessageParam] = []
    for line in _lines():
        messages.append({"role": "user", "content": line})
        answer = ""
        for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
            words = chunk.choices[0].delta.content or "" if chunk.choices else ""
            answer += words
            sys.stdout.write(words)
            sys.stdout.flush()
        sys.stdout.write("\n")
        messages.append({"role": "assistant", "content": answer})


def _lines() -> Iterator[str]:
    """What is typed or piped in, until an empty line or the end."""
    while True:
        if sys.stdin.isatty():
            sys.stdout.write("> ")
            sys.stdout.flush()
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line
