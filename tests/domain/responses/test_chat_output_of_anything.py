"""Any answer of a chat comes to the same items, whether it streams or comes whole."""

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.errors import Json
from tests.domain.responses.answering import delta, heard, nameless, whole
from tests.domain.responses.strict import check_events, check_one_by_one

TEXT = st.lists(st.text(min_size=1, max_size=5), max_size=4)
# An object would be whole, and nothing may come behind it.
GIVEN = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="}"), min_size=1, max_size=5), max_size=4)
CALLS = st.lists(st.tuples(st.sampled_from(["function", "custom"]), GIVEN), max_size=3)
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
    mixed=st.booleans(),
)
def test_any_answer_comes_to_the_same_items_however_it_came(
    reasoning: list[str],
    content: list[str],
    refusal: list[str],
    calls: list[Json],
    finish: str,
    *,
    together: bool,
    mixed: bool,
) -> None:
    said = {"reasoning_content": reasoning, "content": content, "refusal": refusal}
    chunks = [delta(**{name: piece}) for name, pieces in said.items() for piece in pieces]
    first = [named(index, kind, "") for index, (kind, _) in enumerate(calls)]
    chunks += [delta(tool_calls=first)] if together else [delta(tool_calls=[piece]) for piece in first]
    rest = [(at, index, kind, piece) for index, (kind, said) in enumerate(calls) for at, piece in enumerate(said)]
    for _, index, kind, piece in sorted(rest) if mixed else rest:
        chunks.append(delta(tool_calls=[{"index": index, kind: {FIELDS[kind]: piece}}]))
    message: Json = {name: "".join(pieces) or None for name, pieces in said.items()}
    message["tool_calls"] = [named(index, kind, "".join(pieces)) for index, (kind, pieces) in enumerate(calls)]

    output, events = heard(*chunks, delta(finish))

    check_events(events)
    check_one_by_one(events)
    assert nameless(output.items) == nameless(whole(message, finish).items)
