"""A form's parts become the object that the schema describes, or an error that names the field."""

import pytest

from llm_backend.contract.forms import FormFields
from llm_backend.contract.schemas import Schemas
from llm_backend.errors import InvalidRequest, Json
from llm_backend.upstream.forms import Form, Part
from tests.edge.form_app import THING

SCHEMA = THING | {
    "properties": {
        **THING["properties"],
        "api_base": False,
        "extra_body": {"type": ["object", "null"], "properties": {"api_base": False}},
        "anything": {},
    }
}


def file(name: str, filename: str = "a.wav") -> Part:
    return Part(name, b"RIFF", 4, filename, "audio/wav")


def read(*fields: tuple[str, str] | Part, schema: Json = SCHEMA) -> dict[str, Json]:
    parts = [each if isinstance(each, Part) else Part.text(*each) for each in fields]
    return FormFields(Schemas({"thing": schema}, {}), "/named/thing").read(Form(tuple(parts)))


def thing(*fields: tuple[str, str] | Part) -> dict[str, Json]:
    """What a form means besides its file and model."""
    body = read(file("file"), ("model", "m"), *fields)
    assert (body.pop("file"), body.pop("model")) == ("a.wav", "m")
    return body


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([], {}),
        ([("n", "3"), ("temperature", "0.5"), ("stream", "true")], {"n": 3, "temperature": 0.5, "stream": True}),
        ([("temperature", "1")], {"temperature": 1.0}),
        ([("prompt", "12")], {"prompt": "12"}),
        ([("prompt", "")], {"prompt": ""}),
        ([("include[]", "word")], {"include": ["word"]}),
        ([("include[]", "word"), ("include[]", "segment")], {"include": ["word", "segment"]}),
        ([("include", "word"), ("include", "segment")], {"include": ["word", "segment"]}),
        ([("include", "word")], {"include": ["word"]}),
        ([("options", "auto")], {"options": "auto"}),
        (
            [("options[type]", "vad"), ("options[threshold]", "0.25")],
            {"options": {"type": "vad", "threshold": 0.25}},
        ),
        ([("options", ' {"type": "vad", "threshold": 0.25}')], {"options": {"type": "vad", "threshold": 0.25}}),
        ([("prompt", '{"type": "vad"}')], {"prompt": '{"type": "vad"}'}),
        ([file("image")], {"image": "a.wav"}),
        ([file("image[]")], {"image": ["a.wav"]}),
        ([file("image[]"), file("image[]", "b")], {"image": ["a.wav", "b"]}),
        ([file("image"), file("image", "b")], {"image": ["a.wav", "b"]}),
        ([("unheard", "1"), file("of", "x.bin")], {"unheard": "1", "of": "x.bin"}),
        ([("unheard", "1"), ("unheard", "2")], {"unheard": ["1", "2"]}),
        ([("unheard[]", "1"), ("of[it]", "2")], {"unheard": ["1"], "of": {"it": "2"}}),
        ([("anything", "1")], {"anything": "1"}),
        ([("extra_body[top_k]", "1")], {"extra_body": {"top_k": "1"}}),
    ],
)
def test_parts_are_read_as_the_types_that_the_schema_gives_them(
    fields: list[tuple[str, str] | Part], body: Json
) -> None:
    assert thing(*fields) == body


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ([("n", "many")], "n", "invalid_type"),
        ([("n", "")], "n", "invalid_type"),
        ([("n", "11")], "n", "integer_above_max_value"),
        ([("n", "1.5")], "n", "invalid_type"),
        ([("temperature", "nan")], "temperature", "invalid_type"),
        ([("stream", "yes")], "stream", "invalid_type"),
        ([("include[]", "sentence")], "include[0]", "invalid_value"),
        ([("options[type]", "vad"), ("options[threshold]", "x")], "options.threshold", "invalid_type"),
        ([("options[threshold]", "1")], "options.type", "missing_required_parameter"),
        ([("options", "auto"), ("options[type]", "vad")], "options", "invalid_type"),
        ([("options[type]", "vad"), ("options[type]", "x")], "options.type", "invalid_form"),
        ([("prompt[a]", "x")], "prompt", "invalid_type"),
        ([("model", "another")], "model", "invalid_type"),
        ([("model[]", "another")], "model", "invalid_type"),
        ([file("image[]")] * 4, "image", "array_above_max_length"),
        ([("mask", "text")], "mask", "invalid_type"),
        ([("image[]", "text")], "image", "invalid_type"),
        ([file("prompt")], "prompt", "invalid_type"),
        ([file("n")], "n", "invalid_type"),
        ([("api_base", "http://elsewhere")], "api_base", "unknown_parameter"),
        ([("api_base[]", "http://elsewhere")], "api_base", "unknown_parameter"),
        ([("extra_body[api_base]", "http://elsewhere")], "extra_body.api_base", "unknown_parameter"),
        ([("extra_body", '{"api_base": "http://elsewhere"}')], "extra_body.api_base", "unknown_parameter"),
        ([("extra_body", '{"user": "elsewhere", "user": 1}')], "extra_body", "invalid_type"),
        ([("extra_body[]", '{"user": "elsewhere"}')], "extra_body", "invalid_type"),
        ([("a[b][c]", "1")], None, "invalid_form"),
        ([("a[", "1")], None, "invalid_form"),
        ([("[]", "1")], None, "invalid_form"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name_and_without_its_value(
    fields: list[tuple[str, str] | Part], param: str | None, code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        thing(*fields)

    assert (refused.value.param, refused.value.code) == (param, code)
    assert "elsewhere" not in str(refused.value)


def test_a_model_of_one_in_a_list_is_no_model() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(file("file"), ("model[]", "m"))

    assert (refused.value.param, refused.value.code) == ("model", "invalid_type")


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(("model", "m"))

    assert (refused.value.param, refused.value.code) == ("file", "missing_required_parameter")


def test_a_body_of_several_kinds_takes_the_fields_of_each() -> None:
    by_prompt: Json = {"type": "object", "required": ["seconds"], "properties": {"seconds": {"type": "integer"}}}

    assert read(("seconds", "3"), schema={"anyOf": [THING, by_prompt]}) == {"seconds": 3}
