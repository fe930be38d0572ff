"""Responses, which are kept, over several turns; told a base URL and a key, it prints what it got as JSON."""

import json
import sys
from typing import Any

from openai import NotFoundError, OpenAI
from openai.types.responses import CustomToolParam, FunctionToolParam
from pydantic import BaseModel

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
SHELL: CustomToolParam = {"type": "custom", "name": "shell"}
BOTH = "[[tool get_weather city=Paris]] [[tool shell input=ls]] Both."


class Capital(BaseModel):
    country: str
    city: str


def created(sdk: OpenAI) -> Any:
    told = sdk.responses.create(model="echo", input="one two", metadata={"topic": "trees"})
    return told.output_text, sdk.responses.retrieve(told.id) == told, told.metadata


def streamed(sdk: OpenAI) -> Any:
    with sdk.responses.stream(model="echo", input="one two") as stream:
        said = [event.delta for event in stream if event.type == "response.output_text.delta"]
        gathered = stream.get_final_response()
    return said, sdk.responses.retrieve(gathered.id).output_text


def parsed(sdk: OpenAI) -> Any:
    capital = sdk.responses.parse(model="echo", input="Paris", text_format=Capital).output_parsed
    return capital and capital.model_dump()


def tools(sdk: OpenAI) -> Any:
    asked = sdk.responses.create(model="echo", input=BOTH, tools=[WEATHER, SHELL])
    calls: Any = asked.output
    results: Any = [
        {"type": f"{call.type}_output", "call_id": call.call_id, "output": f"{call.name} said so"} for call in calls
    ]
    answered = sdk.responses.create(model="echo", input=results, previous_response_id=asked.id)
    return [call.type for call in calls], "shell said so" in answered.output_text


def called(sdk: OpenAI) -> Any:
    """The events that end something of calls in parallel, each as strict as its type; and the functions they name."""
    asked = sdk.responses.create(model="echo", input=BOTH, tools=[WEATHER, SHELL], stream=True)
    events: Any = [type(event).model_validate(event.to_dict(), strict=True) for event in asked]
    ended = [event.type.removeprefix("response.") for event in events if event.type.endswith((".added", ".done"))]
    return ended, [event.name for event in events if event.type == "response.function_call_arguments.done"]


def listed(sdk: OpenAI) -> Any:
    given: Any = [{"role": "user", "content": f"{number}"} for number in range(5)]
    response = sdk.responses.create(model="echo", input=given)
    items: Any = list(sdk.responses.input_items.list(response.id, limit=2, order="asc"))
    return [item.content[0].text for item in items]


def conversed(sdk: OpenAI) -> Any:
    talk = sdk.conversations.create(items=[{"type": "message", "role": "user", "content": "zero"}])
    for said in ("one", "two"):
        sdk.responses.create(model="echo", input=said, conversation=talk.id)
    items: Any = list(sdk.conversations.items.list(talk.id, order="asc", limit=2))
    return [item.content[0].text for item in items], sdk.conversations.delete(talk.id).deleted


def resumed(sdk: OpenAI) -> Any:
    asked = sdk.responses.create(model="echo", input="one two three", background=True, stream=True)
    events = list(asked)
    begun: Any = events[0]
    rest = list(sdk.responses.retrieve(begun.response.id, stream=True, starting_after=4))
    return [event.sequence_number for event in events] == list(range(len(events))), rest == events[5:]


def forgotten(sdk: OpenAI) -> Any:
    response = sdk.responses.create(model="echo", input="[[delay 0 between=0.2]] [[words 100]] on", background=True)
    status = sdk.responses.cancel(response.id).status
    sdk.responses.delete(response.id)
    try:
        sdk.responses.retrieve(response.id)
    except NotFoundError as error:
        return status, error.param
    return status, None


def main(base_url: str, key: str) -> None:
    parts = (created, streamed, parsed, tools, called, listed, conversed, resumed, forgotten)
    with OpenAI(base_url=base_url, api_key=key) as sdk:
        got = {part.__name__: part(sdk) for part in parts}
    json.dump(got, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
