"""What is said of a body that cannot be read for its type."""

import pytest

from llm_backend.edge.media import Readable, body_type
from llm_backend.errors import UnsupportedMediaType

JSON_ONLY = "Send it with the header Content-Type: application/json."


@pytest.mark.parametrize(
    ("sent", "readable", "said"),
    [
        (None, Readable(1), f"The type of the body is not said. {JSON_ONLY}"),
        (
            "Application/X-WWW-Form-urlencoded; charset=canary",
            Readable(1),
            f"The body was sent as application/x-www-form-urlencoded, which is not read here. {JSON_ONLY}",
        ),
        ("a/" + "b" * 500, Readable(1), f"The body was sent as another type, which is not read here. {JSON_ONLY}"),
        (
            "text/plain",
            Readable(1, 1),
            (
                "The body was sent as text/plain, which is not read here. "
                "Send it with the header Content-Type: application/json or multipart/form-data."
            ),
        ),
    ],
)
def test_a_wrong_type_is_told_which_header_to_send(sent: str | None, readable: Readable, said: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        body_type(sent, None, readable)

    assert str(refused.value) == said
