"""Any answer of a chat comes to the same items, whether it streams or comes whole."""

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.errors import Json
from tests.domain.responses.answering import delta, heard, nameless, whole
from tests.domain.responses.strict import check_events

TEXT = st.lists(st.text(min_size=1, max_size=5), max_size=4)
CALLS = st.lists(st.tuples(st.sampled_from(["function", "custom"]), TEXT), max_size=3)
FIELDS = {"function": "arguments", "custom": "input"}


def named(index: int, kind: str, text: str) -> Json:
    return {"index": index, "id": f"call_{index}", "type": kind, kind: {"name": f"tool_{index}", FIELDS[kind]: text}}


@given(
    reasoning=TEXT,
    content=TEXT,
    refusal=TEXT,
    calls=CALLS,
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    together=st.booleans(),
)
def test_any_answer_comes_to_the_same_items_however_it_came(
    reasoning: list[str], content: list[str], refusal: list[str], calls: list[Json], finish: str, *, together: bool
) -> None:
    said = {"reasoning_content": reasoning, "content": content, "refusal": refusal}
    chunks = [delta(**{name: piece}) for name, pieces in said.items() for piece in pieces]
    first = [named(index, kind, "") for index, (kind, _) in enumerate(calls)]
    chunks += [delta(tool_calls=first)] if together else [delta(tool_calls=[piece]) for piece in first]
    rest = [(index, kind, piece) for index, (kind, pieces) in enumerate(calls) for piece in pieces]
    chunks += [delta(tool_calls=[{"index": index, kind: {FIELDS[kind]: piece}}]) for index, kind, piece in rest]
    message: Json = {name: "".join(pieces) or None for name, pieces in said.items()}
    message["tool_calls"] = [named(index, kind, "".join(pieces)) for index, (kind, pieces) in enumerate(calls)]

    output, events = heard(*chunks, delta(finish))

    check_events(events)
    assert nameless(output.items) == nameless(whole(message, finish).items)
