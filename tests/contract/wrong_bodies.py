"""Bodies that are wrong in one place: what the place is called, and OpenAI's code for what is wrong."""

from typing import Any

from llm_backend.errors import Json

MISSING, TYPE, VALUE, UNKNOWN = "missing_required_parameter", "invalid_type", "invalid_value", "unknown_parameter"
TEXT = {"type": "text", "text": "hi"}
FUNCTION = {"type": "function", "function": {"name": "f"}}
CALLED = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(*messages: Any, **fields: Any) -> tuple[str, Json]:
    return "createChatCompletion", {"model": "m", "messages": list(messages) or [user("hi")], **fields}


def parts(*content: Any) -> tuple[str, Json]:
    return chat(user("first"), user(list(content)))


def user(content: Any, **fields: Any) -> Json:
    return {"role": "user", "content": content, **fields}


def assistant(**fields: Any) -> Json:
    return {"role": "assistant", **fields}


def response(*items: Any) -> tuple[str, Json]:
    return "createResponse", {"model": "m", "input": list(items)}


def embedding(text: Any, **fields: Any) -> tuple[str, Json]:
    return "createEmbedding", {"model": "m", "input": text, **fields}


def completion(prompt: Any = "hi", **fields: Any) -> tuple[str, Json]:
    return "createCompletion", {"model": "m", "prompt": prompt, **fields}


def without(request: tuple[str, Json], key: str) -> tuple[str, Json]:
    return request[0], {name: value for name, value in request[1].items() if name != key}


ROWS: list[tuple[tuple[str, Json], str | None, str]] = [
    # the body itself
    (("createChatCompletion", None), None, TYPE),
    (("createChatCompletion", []), None, TYPE),
    (("createChatCompletion", "text"), None, TYPE),
    (("createEmbedding", 5), None, TYPE),
    (("createCompletion", True), None, TYPE),
    # what every request needs
    (without(chat(), "model"), "model", MISSING),
    (without(chat(), "messages"), "messages", MISSING),
    (without(embedding("x"), "input"), "input", MISSING),
    (without(embedding("x"), "model"), "model", MISSING),
    (without(completion(), "model"), "model", MISSING),
    (chat(model=5), "model", TYPE),
    (chat(model=None), "model", TYPE),
    (chat(model=""), "model", "empty_string"),
    (chat(model="m" * 257), "model", "string_above_max_length"),
    (chat(model="a\u0000b"), "model", VALUE),
    # plain fields
    (chat(temperature="hot"), "temperature", TYPE),
    (chat(top_p=[1]), "top_p", TYPE),
    (chat(n=0), "n", "integer_below_min_value"),
    (chat(n=129), "n", "integer_above_max_value"),
    (chat(n=1.5), "n", TYPE),
    (chat(n="2"), "n", TYPE),
    (chat(max_tokens=-1), "max_tokens", "integer_below_min_value"),
    (chat(max_completion_tokens=-5), "max_completion_tokens", "integer_below_min_value"),
    (chat(stream="yes"), "stream", TYPE),
    (chat(seed=0.5), "seed", TYPE),
    (chat(user=7), "user", TYPE),
    (chat(logprobs=1), "logprobs", TYPE),
    (chat(top_logprobs=True), "top_logprobs", TYPE),
    (chat(verbosity=3), "verbosity", TYPE),
    (chat(parallel_tool_calls="no"), "parallel_tool_calls", TYPE),
    (chat(stream_options=True), "stream_options", TYPE),
    (chat(stream_options={"include_usage": "yes"}), "stream_options.include_usage", TYPE),
    # maps
    (chat(metadata={str(index): "v" for index in range(17)}), "metadata", "object_above_max_properties"),
    (chat(metadata={"k": "v" * 513}), "metadata.k", "string_above_max_length"),
    (chat(metadata={"k": 1}), "metadata.k", TYPE),
    (chat(metadata={"k" * 65: "v"}), "metadata", "string_above_max_length"),
    (chat(metadata={"a\u0000b": "v"}), "metadata", VALUE),
    (chat(metadata=[]), "metadata", TYPE),
    (chat(logit_bias={"50256": "no"}), "logit_bias.50256", TYPE),
    (chat(logit_bias={str(index): 1 for index in range(1_025)}), "logit_bias", "object_above_max_properties"),
    # stop
    (chat(stop=5), "stop", TYPE),
    (chat(stop=["a", 5]), "stop[1]", TYPE),
    (chat(stop=["a"] * 17), "stop", "array_above_max_length"),
    (chat(stop="s" * 1_025), "stop", "string_above_max_length"),
    (chat(stop=["a", "s" * 1_025]), "stop[1]", "string_above_max_length"),
    # messages
    (("createChatCompletion", {"model": "m", "messages": []}), "messages", "empty_array"),
    (("createChatCompletion", {"model": "m", "messages": "hi"}), "messages", TYPE),
    (("createChatCompletion", {"model": "m", "messages": {"role": "user"}}), "messages", TYPE),
    (("createChatCompletion", {"model": "m", "messages": None}), "messages", TYPE),
    (chat(*[user("x")] * 10_001), "messages", "array_above_max_length"),
    (chat("hi"), "messages[0]", TYPE),
    (chat(None), "messages[0]", TYPE),
    (chat({"content": "hi"}), "messages[0].role", MISSING),
    (chat({"role": "robot", "content": "hi"}), "messages[0].role", VALUE),
    (chat({"role": 5, "content": "hi"}), "messages[0].role", TYPE),
    (chat({"role": None, "content": "hi"}), "messages[0].role", TYPE),
    (chat({"role": "user"}), "messages[0].content", MISSING),
    (chat(user("a"), user(None)), "messages[1].content", TYPE),
    (chat(user(5)), "messages[0].content", TYPE),
    (chat(user({"type": "text"})), "messages[0].content", TYPE),
    (chat(user("a", name=5)), "messages[0].name", TYPE),
    (chat({"role": "system"}), "messages[0].content", MISSING),
    (chat({"role": "developer", "content": 5}), "messages[0].content", TYPE),
    (chat({"role": "tool", "content": "x"}), "messages[0].tool_call_id", MISSING),
    (chat({"role": "tool", "content": "x", "tool_call_id": 5}), "messages[0].tool_call_id", TYPE),
    (chat({"role": "function", "content": "x"}), "messages[0].name", MISSING),
    # parts of contents
    (parts("hi"), "messages[1].content[0]", TYPE),
    (parts(TEXT, None), "messages[1].content[1]", TYPE),
    (parts({"text": "hi"}), "messages[1].content[0].type", MISSING),
    (parts({"type": "text"}), "messages[1].content[0].text", MISSING),
    (parts({"type": "text", "text": 5}), "messages[1].content[0].text", TYPE),
    (parts({"type": "poem", "text": "hi"}), "messages[1].content[0].type", VALUE),
    (parts({"type": 5}), "messages[1].content[0].type", TYPE),
    (parts({"type": "image_url"}), "messages[1].content[0].image_url", MISSING),
    (parts({"type": "image_url", "image_url": "http://x"}), "messages[1].content[0].image_url", TYPE),
    (parts({"type": "image_url", "image_url": {}}), "messages[1].content[0].image_url.url", MISSING),
    (parts(TEXT, {"type": "image_url", "image_url": {"url": 5}}), "messages[1].content[1].image_url.url", TYPE),
    (
        parts({"type": "input_audio", "input_audio": {"data": "x"}}),
        "messages[1].content[0].input_audio.format",
        MISSING,
    ),
    (parts({"type": "file", "file": {"file_id": 5}}), "messages[1].content[0].file.file_id", TYPE),
    # calls of tools
    (chat(assistant(content=5)), "messages[0].content", TYPE),
    (chat(assistant(tool_calls="x")), "messages[0].tool_calls", TYPE),
    (
        chat(assistant(tool_calls=[CALLED, {"type": "function", "id": "c"}])),
        "messages[0].tool_calls[1].function",
        MISSING,
    ),
    (
        chat(assistant(tool_calls=[CALLED | {"function": {"name": "f", "arguments": {}}}])),
        "messages[0].tool_calls[0].function.arguments",
        TYPE,
    ),
    # tools
    (chat(tools={}), "tools", TYPE),
    (chat(tools=["f"]), "tools[0]", TYPE),
    (chat(tools=[FUNCTION, {"type": "function"}]), "tools[1].function", MISSING),
    (chat(tools=[FUNCTION, {"type": "function", "function": {}}]), "tools[1].function.name", MISSING),
    (chat(tools=[{"type": "function", "function": {"name": 5}}]), "tools[0].function.name", TYPE),
    (
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": "x"}}]),
        "tools[0].function.parameters",
        TYPE,
    ),
    (chat(tools=[{"function": {"name": "f"}}]), "tools[0].type", MISSING),
    (chat(tools=[FUNCTION] * 513), "tools", "array_above_max_length"),
    (chat(tool_choice="sometimes"), "tool_choice", VALUE),
    (chat(tool_choice=5), "tool_choice", TYPE),
    (chat(tool_choice={"type": "function"}), "tool_choice.function", MISSING),
    (chat(tool_choice={"type": "function", "function": {}}), "tool_choice.function.name", MISSING),
    # forms of answers
    (chat(response_format="json"), "response_format", TYPE),
    (chat(response_format={}), "response_format.type", MISSING),
    (chat(response_format={"type": 5}), "response_format.type", TYPE),
    (chat(response_format={"type": "json_schema"}), "response_format.json_schema", MISSING),
    (chat(response_format={"type": "json_schema", "json_schema": {}}), "response_format.json_schema.name", MISSING),
    (chat(audio={"voice": "alloy"}), "audio.format", MISSING),
    # embeddings
    (embedding(5), "input", TYPE),
    (embedding(None), "input", TYPE),
    (embedding(""), "input", "empty_string"),
    (embedding([]), "input", "empty_array"),
    (embedding(["a", 1]), "input[1]", TYPE),
    (embedding([1, 2, "a"]), "input[2]", TYPE),
    (embedding([[1, 2], [3, "a"]]), "input[1][1]", TYPE),
    (embedding([[1, "a"]]), "input[0][1]", TYPE),
    (embedding(["a"] * 2_049), "input", "array_above_max_length"),
    (embedding([None]), "input[0]", TYPE),
    (embedding("a", encoding_format="hex"), "encoding_format", VALUE),
    (embedding("a", dimensions="many"), "dimensions", TYPE),
    # the items of a response's input, of some thirty types
    (response({"role": "usr", "content": "x"}), "input[0].role", VALUE),
    (response({"role": "tool", "content": "x", "tool_call_id": "c"}), "input[0].role", VALUE),
    (response({"type": "message", "role": "usr", "content": "x"}), "input[0].role", VALUE),
    (response({"type": "message", "content": "x"}), "input[0].role", "missing_required_parameter"),
    (response({"content": "x"}), "input[0].role", "missing_required_parameter"),
    (response({"type": "msg", "role": "user", "content": "x"}), "input[0].type", VALUE),
    (response({}), "input[0].type", "missing_required_parameter"),
    (response({"type": "item_reference"}), "input[0].id", "missing_required_parameter"),
    (response({"role": "user", "content": [{"type": "text", "text": "x"}]}), "input[0].content[0].type", VALUE),
    # completions
    (completion(5), "prompt", TYPE),
    (completion(["a", None]), "prompt[1]", TYPE),
    (completion(best_of=200), "best_of", "integer_above_max_value"),
    (completion(echo="yes"), "echo", TYPE),
    # configuration of an upstream
    (chat(api_base="http://x"), "api_base", UNKNOWN),
    (chat(base_url="http://x"), "base_url", UNKNOWN),
    (chat(api_key="k"), "api_key", UNKNOWN),
    (chat(user_config={}), "user_config", UNKNOWN),
    (chat(custom_llm_provider="x"), "custom_llm_provider", UNKNOWN),
    (chat(extra_headers={}), "extra_headers", UNKNOWN),
    (chat(mock_response=None), "mock_response", UNKNOWN),
    (chat(extra_body={"api_key": "k"}), "extra_body.api_key", UNKNOWN),
    (embedding("a", api_base="http://x"), "api_base", UNKNOWN),
    (completion(extra_body={"base_url": 1}), "extra_body.base_url", UNKNOWN),
]
