"""What the SDK is used for on an ordinary day; told a base URL and a key, it prints what it got as one JSON object."""

import json
import sys
from typing import Any

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Capital(BaseModel):
    country: str
    city: str


def says(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def models(sdk: OpenAI) -> Any:
    return [model.id for model in sdk.models.list()], sdk.models.retrieve("echo").id


def whole(sdk: OpenAI) -> Any:
    answer = sdk.chat.completions.create(model="echo", messages=says("Grüße from 世界"))
    return answer.choices[0].message.content, answer.usage and answer.usage.total_tokens, bool(answer._request_id)


def streamed(sdk: OpenAI) -> Any:
    asked = sdk.chat.completions.create(
        model="echo", messages=says("one two"), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(asked)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return said, last.choices, last.usage and last.usage.completion_tokens


def helped(sdk: OpenAI) -> Any:
    with sdk.chat.completions.stream(model="echo", messages=says("one two")) as stream:
        said = [event.delta for event in stream if event.type == "content.delta" and event.delta]
        return said, stream.get_final_completion().choices[0].message.content


def parsed(sdk: OpenAI) -> Any:
    answer = sdk.chat.completions.parse(model="echo", messages=says("Paris"), response_format=Capital)
    capital = answer.choices[0].message.parsed
    return capital and capital.model_dump()


def tools(sdk: OpenAI) -> Any:
    prompt = "[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] Both?"
    with sdk.chat.completions.stream(model="echo", messages=says(prompt), tools=[WEATHER]) as stream:
        choice = stream.get_final_completion().choices[0]
    calls = choice.message.tool_calls or []
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": call.function.arguments} for call in calls
    ]
    messages = [*says(prompt), choice.message.to_dict(), *results]
    last = sdk.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])
    return [call.function.parsed_arguments for call in calls], last.choices[0].finish_reason


def completions(sdk: OpenAI) -> Any:
    answer = sdk.completions.create(model="echo", prompt="one two")
    stream = sdk.completions.create(model="echo", prompt="one two", stream=True)
    return answer.choices[0].text, "".join(chunk.choices[0].text for chunk in stream)


def embeddings(sdk: OpenAI) -> Any:
    packed = sdk.embeddings.create(model="echo-embedding", input=["a tree", "a tree", "a clock"])
    plain = sdk.embeddings.create(model="echo-embedding", input="a tree", encoding_format="float")
    first, second, third = (each.embedding for each in packed.data)
    drift = max(abs(a - b) for a, b in zip(first, plain.data[0].embedding, strict=True))
    return first == second, first == third, drift < 1e-6


def media(sdk: OpenAI) -> Any:
    image = sdk.images.generate(model="echo-image", prompt="a tree", size="64x64")
    speech = sdk.audio.speech.create(model="echo-speech", voice="alloy", input="one two", response_format="wav")
    stream = sdk.audio.transcriptions.create(model="echo-transcribe", file=("said.wav", speech.content), stream=True)
    flagged = sdk.moderations.create(input="[[flag violence]] a fight").results[0].flagged
    return bool(image.data and image.data[0].b64_json), [event.type for event in stream], flagged


def main(base_url: str, key: str) -> None:
    parts = (models, whole, streamed, helped, parsed, tools, completions, embeddings, media)
    with OpenAI(base_url=base_url, api_key=key) as sdk:
        got = {part.__name__: part(sdk) for part in parts}
    json.dump({"version": openai.__version__, **got}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
