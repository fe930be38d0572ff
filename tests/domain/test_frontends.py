"""For whom a trusted frontend says that it asks, plainly or signed."""

import base64
import hmac
from typing import Any

import orjson
import pytest

from llm_backend.domain.frontends import Frontends
from llm_backend.errors import EndUserUnproven, InvalidRequest
from tests.clocks import SetClock

SECRET = "a-secret-of-a-frontend-of-32-bytes"
NOW = int(SetClock().now().timestamp())
CLAIMS = {"sub": "u-1", "name": "Alice", "iss": "open-webui", "iat": NOW, "exp": NOW + 300}


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def signed(claims: Any = CLAIMS, secret: str = SECRET, **head: Any) -> str:
    """A token as Open WebUI writes it."""
    told = f"{encoded({'alg': 'HS256', 'typ': 'JWT'} | head)}.{encoded(claims)}"
    digest = hmac.digest(secret.encode(), told.encode(), "sha256")
    return f"{told}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def named(secret: str | None = SECRET, **headers: str) -> str | None:
    found = {f"x-openwebui-user-{name}": value for name, value in headers.items()}
    return Frontends(secret, SetClock()).named(found)


def test_a_plain_id_is_the_end_users_name_without_its_encoding() -> None:
    assert named(None, id="0b8c-11", name="Alice%20B", email="a@example.org", role="admin") == "0b8c-11"
    assert named(None, id="alice%40example.org") == "alice@example.org"
    assert named(None, email="a@example.org") is None


@pytest.mark.parametrize("name", ["", "a\tb", "%0A", "x" * 257, "%00"])
def test_what_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        named(None, id=name)

    assert refused.value.param == "X-OpenWebUI-User-Id"


def test_a_signed_token_names_its_subject() -> None:
    assert named(jwt=signed()) == "u-1"


def test_where_a_secret_is_set_plain_headers_are_not_believed() -> None:
    assert named(id="u-2") is None
    assert named(id="u-2", jwt=signed()) == "u-1"


WRONG = {
    "signed with another secret": signed(secret="another-secret-of-a-frontend-of-32"),
    "not signed": f"{encoded({'alg': 'none'})}.{encoded(CLAIMS)}.",
    "signed, and says it is not": signed(alg="none"),
    "signed, and says by another way": signed(alg="HS512"),
    "with what has to be understood": signed(crit=["b64"]),
    "changed": signed().replace(encoded(CLAIMS), encoded(CLAIMS | {"sub": "u-2"})),
    "cut": signed()[:-4],
    "with a part more": f"{signed()}.x",
    "in one piece": "token",
    "empty": "",
    "no base64": signed().replace(".", ".*", 1),
    "not ASCII": "é.é.é",
    "too long": signed(CLAIMS | {"name": "x" * 8192}),
    "a list": signed([1]),
    "expired": signed(CLAIMS | {"exp": NOW - 61}),
    "without an end": signed({"sub": "u-1"}),
    "with an end that is no number": signed(CLAIMS | {"exp": True}),
    "from the future": signed(CLAIMS | {"nbf": NOW + 61}),
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
def test_a_token_that_proves_nothing_is_refused(token: str) -> None:
    with pytest.raises(EndUserUnproven):
        named(jwt=token)


def test_clocks_may_be_a_little_apart() -> None:
    assert named(jwt=signed(CLAIMS | {"exp": NOW - 30, "nbf": NOW + 30})) == "u-1"


@pytest.mark.parametrize("subject", [None, 7, "", "x" * 257])
def test_a_token_that_names_nobody_is_refused(subject: Any) -> None:
    with pytest.raises(InvalidRequest, match="An end user's id"):
        named(jwt=signed(CLAIMS | {"sub": subject}))


def test_a_token_that_cannot_be_checked_is_not_taken_for_none() -> None:
    with pytest.raises(EndUserUnproven, match="FRONTEND_JWT_SECRET is not set"):
        named(None, jwt=signed(), id="u-1")
