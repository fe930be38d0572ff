"""What the SDK raises for each refusal; told a base URL and a key, it prints the errors as one JSON object."""

import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
WRONG: Any = [{"role": "user"}]


def raised(ask: Callable[[], object]) -> Any:
    """The class of what `ask` raises, with its status, code and param."""
    try:
        ask()
    except openai.APIStatusError as error:
        return type(error).__name__, error.status_code, error.code, error.param, bool(error.request_id)
    except openai.APIError as error:
        return type(error).__name__, error.code
    return None


def broken_off(sdk: OpenAI) -> Any:
    stream = sdk.chat.completions.create(model="echo-fault-fin", messages=HI, stream=True)
    return raised(lambda: list(stream))


def main(base_url: str, key: str) -> None:
    with OpenAI(base_url=base_url, api_key=key) as sdk, OpenAI(base_url=base_url, api_key="sk-lb-wrong") as stranger:
        chat = sdk.chat.completions
        got = {
            "key": raised(stranger.models.list),
            "body": raised(lambda: chat.create(model="echo", messages=WRONG)),
            "field": raised(lambda: chat.create(model="echo", messages=HI, extra_body={"api_base": "x"})),
            "model": raised(lambda: chat.create(model="gpt-9", messages=HI)),
            "operation": raised(
                lambda: sdk.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id="f")
            ),
            "upstream": raised(lambda: chat.create(model="echo-fault-500", messages=HI)),
            "broken_off": broken_off(sdk),
        }
    json.dump(got, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
