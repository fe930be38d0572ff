"""Whatever is asked, the echo model answers or refuses; it never fails by itself."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_backend.upstream.echo import Echo, faults
from llm_backend.upstream.echo.script import Break, Send, Wait
from llm_backend.upstream.forms import Form, Part
from tests.upstream.echo.asking import Json

TEXTS = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(
        ["echo", "function", "custom", "user", "tool", "json_schema", "required", "allowed_tools", "object"]
    ),
    st.sampled_from(["[[tool x]]", "[[fault fin after=1]]", "[[words 3]]", "[[fault runaway words=2]]", "[[tokens]]"]),
)
NAMES = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "name",
        "function",
        "custom",
        "parameters",
        "json_schema",
        "schema",
        "tools",
        "allowed_tools",
        "mode",
        "properties",
        "required",
        "items",
        "enum",
        "anyOf",
        "allOf",
        "$ref",
        "prefixItems",
        "minItems",
        "maxItems",
        "minLength",
        "minimum",
        "include_usage",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), st.floats(-2, 2), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
FIELDS = [
    "messages",
    "prompt",
    "input",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "logprobs",
    "top_logprobs",
    "echo",
    "dimensions",
    "encoding_format",
    "suffix",
    "size",
    "partial_images",
    "images",
    "voice",
    "speed",
    "stream_format",
    "text",
    "conversation",
    "instructions",
]
FUNCTIONS = st.fixed_dictionaries({"name": VALUES, "parameters": VALUES})
SHAPED = st.one_of(
    st.fixed_dictionaries({"tools": st.lists(st.fixed_dictionaries({"type": TEXTS, "function": FUNCTIONS}))}),
    st.fixed_dictionaries({"tool_choice": st.fixed_dictionaries({"function": VALUES, "allowed_tools": VALUES})}),
    st.fixed_dictionaries(
        {"tool_choice": st.fixed_dictionaries({"type": st.just("allowed_tools"), "allowed_tools": VALUES})}
    ),
    st.fixed_dictionaries(
        {
            "response_format": st.fixed_dictionaries(
                {
                    "type": st.just("json_schema"),
                    "json_schema": st.fixed_dictionaries({"name": VALUES, "schema": VALUES}),
                }
            )
        }
    ),
    st.fixed_dictionaries(
        {"messages": st.lists(st.fixed_dictionaries({"role": TEXTS, "content": VALUES}), min_size=1, max_size=3)}
    ),
)
MESSAGES = [{"role": "user", "content": "Hello world"}]
TOOLS = [{"type": "function", "name": "x", "function": {"name": "x"}}]
SOUND: Json = {"model": "echo", "messages": MESSAGES, "prompt": "Hello", "input": "Hello", "tools": TOOLS}
PATHS = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/moderations",
    "/images/generations",
    "/images/edits",
    "/audio/speech",
    "/responses",
]


@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(wrong=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3), shaped=SHAPED)
def test_any_request_is_answered_or_refused(path: str, wrong: dict[str, Json], shaped: dict[str, Json]) -> None:
    script, call = Echo().answer("POST", path, orjson.dumps(SOUND | wrong | shaped))

    assert script.status in ((200, 400, 404) if path == "/responses" else (200, 400))
    assert call.model == "echo"
    assert all(step.data for step in script.steps if isinstance(step, Send))


@pytest.mark.parametrize("path", [*PATHS, "/audio/transcriptions"])
def test_every_fault_can_strike_every_operation(path: str) -> None:
    for name in faults.names():
        model = f"echo-fault-{name}:bytes=10,members=1,words=1"
        fields = SOUND | {"model": model, "images": ["a"], "stream": True, "stream_format": "sse"}
        texts = [Part.text(field, value) for field, value in (("model", model), ("stream", "true"))]
        form = Form((*texts, Part("file", b"a b", 3, "a.wav")))
        body = form if path == "/audio/transcriptions" else orjson.dumps(fields)

        script, _ = Echo().answer("POST", path, body)

        assert script.status in (200, 302, 502, 504)
        assert all(isinstance(step, Send | Wait | Break) for step in script.steps)


@pytest.mark.parametrize(("path", "field"), [("/chat/completions", "messages"), ("/completions", "prompt")])
def test_more_text_than_the_context_holds_is_refused(path: str, field: str) -> None:
    text = "a" * 40_000
    request = SOUND | {"messages": [{"role": "user", "content": text}], "prompt": text, "n": 128}

    script, _ = Echo().answer("POST", path, orjson.dumps(request))

    (refused,) = script.steps
    assert script.status == 400
    assert isinstance(refused, Send)
    assert orjson.loads(refused.data)["error"]["code"] == "context_length_exceeded"
    assert orjson.loads(refused.data)["error"]["param"] == field


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_answered_or_refused(body: bytes) -> None:
    script, _ = Echo().answer("POST", "/chat/completions", body)

    assert script.status == 400
