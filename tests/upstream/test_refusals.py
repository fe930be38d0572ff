import json
from typing import Any

import pytest

from llm_backend.errors import (
    UpstreamAuthFailed,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimedOut,
)
from llm_backend.upstream.refusals import Refusals, redacted


def refusal(status: int, error: Any = None, **headers: str) -> UpstreamFailed:
    body = b"" if error is None else json.dumps(error).encode()
    return Refusals().of(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def openai(message: str = "No.", **parts: Any) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **parts}}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422])
def test_a_refusal_of_the_request_keeps_status_code_param_and_message(status: int) -> None:
    error = refusal(status, openai("Too warm.", param="temperature", code="out_of_range"))

    assert isinstance(error, UpstreamRejected)
    assert error.upstream_status == status
    assert error.envelope() == {
        "error": {
            "message": "Too warm.",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": "out_of_range",
        }
    }
    assert not error.retriable


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "vLLM says no", "type": "BadRequestError", "code": 400}}, "vLLM says no"),
        ({"object": "error", "message": "Old vLLM says no", "type": "BadRequestError"}, "Old vLLM says no"),
        ({"error": "Ollama says no"}, "Ollama says no"),
        ({"detail": "FastAPI says no"}, "FastAPI says no"),
        ({"detail": [{"loc": ["body"], "msg": "Field required"}]}, "Field required"),
        ({"detail": []}, "The upstream refused the request with the status 400."),
        (["nothing"], "The upstream refused the request with the status 400."),
        ({"error": {"message": {"not": "text"}, "type": [], "code": {}, "param": 3}}, "The upstream refused"),
    ],
)
def test_the_message_is_found_in_every_dialect(body: Any, message: str) -> None:
    error = refusal(400, body)

    assert str(error).startswith(message)
    assert error.envelope()["error"]["type"] == "invalid_request_error"
    assert error.envelope()["error"]["code"] is None


def test_a_page_of_html_is_not_passed_on() -> None:
    error = Refusals().of(403, {}, b"<html>nginx at 10.0.0.1</html>")

    assert str(error) == "The upstream refused the request with the status 403."
    assert error.envelope()["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    "error",
    [
        openai("The model `x` does not exist", code="model_not_found"),
        {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError", "param": "model", "code": 404}},
        {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error", "code": None}},
    ],
)
def test_a_404_about_the_model_is_told_as_openai_does(error: Any) -> None:
    assert refusal(404, error).code == "model_not_found"


def test_a_404_about_something_else_is_not_about_the_model() -> None:
    assert refusal(404, {"detail": "Not Found"}).code is None


@pytest.mark.parametrize("status", [401, 407])
def test_the_text_of_a_refused_key_is_never_passed_on(status: int) -> None:
    error = refusal(status, openai("Incorrect API key provided: sk-canary."))

    assert isinstance(error, UpstreamAuthFailed)
    assert "canary" not in str(error.envelope())
    assert error.should_retry is False


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdef",
        "sk-proj-ab_cd-ef",
        "sk-****************cdef",
        "Bearer abc.def",
        "https://internal.host/v1/x?key=y",
        "10.1.2.3:8000",
        "org-AbCdEf123",
        "A1b2" * 12,
        "plain-operator-key",
    ],
)
def test_what_looks_like_a_secret_is_redacted(secret: str) -> None:
    error = Refusals(("plain-operator-key",)).of(400, {}, json.dumps(openai(f"You sent {secret} there.")).encode())

    assert str(error) == "You sent [redacted] there."


def test_a_key_is_known_without_the_line_end_of_its_file_and_an_empty_one_hides_nothing() -> None:
    refusals = Refusals(("file-key\n", "", " "))

    assert str(refusals.of(400, {}, json.dumps(openai("It is file-key.")).encode())) == "It is [redacted]."


def test_a_key_does_not_pass_as_a_code_or_param() -> None:
    error = refusal(400, openai(code="sk-abcdef", param="sk-abcdef"))

    assert "abcdef" not in str(error.envelope())


def test_names_of_models_and_fields_are_not_taken_for_secrets() -> None:
    text = "The task-model `ft:gpt-4o-mini-2024-07-18:acme::9ABC` takes messages[1].content[0].image_url.url, not x/y."

    assert redacted(text) == text


def test_a_message_is_one_line_of_a_kilobyte() -> None:
    text = redacted("é\r\n\x00\u2028" * 5000)

    assert len(text.encode()) <= 1024
    assert text.isprintable()


@pytest.mark.parametrize(
    ("seconds", "told", "again", "retriable"),
    [("1", 1, None, True), ("5", 5, None, True), ("6", 6, None, False), ("120", 120, None, False)],
)
def test_a_rate_limit_says_how_long_to_wait(seconds: str, told: int, again: bool | None, retriable: bool) -> None:  # noqa: FBT001 (a column of the table)
    error = refusal(429, openai("Slow down", type="tokens"), retry_after=seconds)

    assert isinstance(error, UpstreamRejected)
    assert (error.retry_after_seconds, error.should_retry, error.retriable) == (told, again, retriable)
    assert error.envelope()["error"] == {
        "message": "Slow down",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_a_rate_limit_of_more_than_two_minutes_is_not_waited_for() -> None:
    error = refusal(429, None, retry_after="300")

    assert (error.retry_after_seconds, error.should_retry, error.retriable) == (120, False, False)


def test_milliseconds_are_read_first_and_rounded_up() -> None:
    assert refusal(429, None, retry_after_ms="1200", retry_after="9").retry_after_seconds == 2


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "", "nan"])
def test_a_time_that_cannot_be_trusted_is_none(value: str) -> None:
    assert refusal(429, None, retry_after=value).retry_after_seconds is None


def test_the_operators_empty_purse_is_no_budget_of_the_caller() -> None:
    error = refusal(429, openai("No credit", type="insufficient_quota", code="insufficient_quota"), retry_after="1")

    assert error.envelope()["error"]["type"] == "requests"
    assert (error.code, error.retriable, error.should_retry) == ("rate_limit_exceeded", False, False)


@pytest.mark.parametrize("status", [500, 502, 503, 529, 599, 408, 425])
def test_a_server_error_may_be_tried_again_and_its_text_stays_there(status: int) -> None:
    error = refusal(status, openai("Traceback: /srv/secret.py"))

    assert isinstance(error, UpstreamBroken)
    assert error.retriable
    assert not error.outcome_unknown
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("status", [504, 524])
def test_a_gateways_timeout_may_hide_work_that_goes_on(status: int) -> None:
    error = refusal(status)

    assert isinstance(error, UpstreamTimedOut)
    assert (error.outcome_unknown, error.retriable, error.should_retry) == (True, False, False)


def test_an_upstream_that_forbids_to_try_again_is_obeyed() -> None:
    error = refusal(503, None, x_should_retry="false")

    assert (error.retriable, error.should_retry) == (False, False)


def test_a_long_pause_is_left_to_the_client() -> None:
    error = refusal(503, None, retry_after="30")

    assert (error.retriable, error.should_retry, error.retry_after_seconds) == (False, None, 30)


@pytest.mark.parametrize("status", [300, 302, 307, 399])
def test_a_redirect_is_no_answer(status: int) -> None:
    assert isinstance(refusal(status), UpstreamInvalid)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "x", "type": "invalid_request_error"}, UpstreamRejected, 400),
        ({"message": "x", "type": "requests"}, UpstreamRejected, 429),
        ({"message": "x", "code": "rate_limit_exceeded"}, UpstreamRejected, 429),
        ({"message": "x", "code": 402}, UpstreamRejected, 402),
        ({"message": "x", "code": 401}, UpstreamAuthFailed, 401),
        ({"message": "x", "code": 7, "type": []}, UpstreamBroken, 500),
        ("x", UpstreamBroken, 500),
    ],
)
def test_an_error_inside_a_success_is_found(error: Any, kind: type, status: int) -> None:
    found = Refusals().inside({"error": error})

    assert type(found) is kind
    assert found.upstream_status == status  # type: ignore[union-attr]  # the line above says so


@pytest.mark.parametrize("answer", [{"choices": []}, {"error": None, "id": "x"}, [], None, "error", 3])
def test_an_answer_without_an_error_holds_none(answer: Any) -> None:
    assert Refusals().inside(answer) is None


@pytest.mark.parametrize("error", [{}, "", 3, [], {"message": "Out of memory at 10.0.0.1"}])
def test_an_error_without_a_status_is_always_one(error: Any) -> None:
    told = Refusals().told(error)

    assert isinstance(told, UpstreamBroken)
    assert "10.0.0.1" not in str(told)
