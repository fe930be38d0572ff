import pytest

from llm_backend.contract.defaults import refuse_wrong_defaults
from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.errors import Json
from llm_backend.resources import resource

DOCUMENT = merge(resource("spec"))


@pytest.mark.parametrize(
    "defaults",
    [
        {},
        {"temperature": 0.3, "stop": ["."], "response_format": {"type": "text"}},
        {"voice": "alloy", "encoding_format": "base64"},
        # Of an image one thing, of a sound another.
        {"response_format": "wav"},
        {"top_k": 5},
    ],
)
def test_what_some_operation_takes_or_none_knows_may_stand_in(defaults: Json) -> None:
    # Beside one that is refused: it is that one which is named.
    with pytest.raises(ContractError, match=r'^models\."wrong"\.defaults: '):
        refuse_wrong_defaults(DOCUMENT, {"m": defaults, "wrong": {"temperature": "hot"}})


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"temperature": "hot"}, "'temperature' must be"),
        ({"temperature": True}, "'temperature' must be"),
        ({"stream_options": {"include_obfuscation": 1}}, "'stream_options.include_obfuscation' must be"),
    ],
)
def test_what_no_operation_takes_is_refused_by_its_field(defaults: Json, said: str) -> None:
    with pytest.raises(ContractError) as refused:
        refuse_wrong_defaults(DOCUMENT, {"fine": {"temperature": 1}, "llama-3.1/8b": defaults})

    assert str(refused.value).startswith(f'models."llama-3.1/8b".defaults: {said}')
