import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from llm_backend import logs
from llm_backend.errors import DatabaseUnavailable

CANARY = "canary/of+a secret\"with 'quotes'"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leaves logging, which belongs to the whole process, as each test found it."""
    names = ("", "llm_backend", "uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "connexion")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    """What was written, each line parsed."""
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_grave_who_and_what(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", stream=stream)

    structlog.get_logger("llm_backend.edge").info("request", request_id="req_1", ms=1.5, model=None, stream=True)

    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "llm_backend.edge",
        "request_id": "req_1",
        "ms": 1.5,
        "model": None,
        "stream": True,
    }


def test_lines_below_the_level_are_not_written(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("warning", stream=stream)

    structlog.get_logger("llm_backend").info("quiet")
    logging.getLogger("llm_backend.app").info("quiet")
    structlog.get_logger("llm_backend").warning("loud")

    assert [line["event"] for line in lines()] == ["loud"]


def test_the_last_configuration_holds_and_no_line_is_written_twice(stream: io.StringIO, lines: Lines) -> None:
    first = io.StringIO()
    logs.configure("INFO", stream=first)
    logs.configure("INFO", stream=stream)

    logging.getLogger("somebody").warning("once %s", "only")

    assert [(line["logger"], line["event"]) for line in lines()] == [("somebody", "once only")]
    assert first.getvalue() == ""


def test_lines_go_to_stderr_because_answers_own_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")

    structlog.get_logger("llm_backend").info("ready")

    captured = capsys.readouterr()
    assert json.loads(captured.err)["event"] == "ready"
    assert captured.out == ""


@pytest.mark.parametrize(
    "leak",
    [
        "refused sk-lb-0123456789ab-abcdefghij",
        "Authorization: Bearer abc.def-ghi",
        "header bearer  abc.def-ghi,",
        "postgresql+asyncpg://app:abc.def-ghi@db:5432/llm",
        "redis://:abc.def-ghi@cache/0 is away",
    ],
)
def test_what_looks_like_a_secret_is_redacted_wherever_it_stands(leak: str, stream: io.StringIO, lines: Lines) -> None:
    logs.configure("DEBUG", stream=stream)

    structlog.get_logger("llm_backend").info(leak, why=[leak], **{leak: 1})
    logging.getLogger("uvicorn.error").error(leak)

    assert "abc" not in stream.getvalue()
    assert stream.getvalue().count(logs.REDACTED) == 4
    assert len(lines()) == 2


def test_ordinary_words_are_left_alone(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", stream=stream)

    structlog.get_logger("llm_backend").info("task-list of http://127.0.0.1:8000/v1 and me@host", path="/v1/models")

    assert lines()[0]["event"] == "task-list of http://127.0.0.1:8000/v1 and me@host"


def test_a_configured_secret_is_found_in_every_spelling(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("DEBUG", secrets=[CANARY], stream=stream)

    structlog.get_logger("llm_backend").warning(CANARY, url=f"http://h/?k={quote(CANARY, safe='')}", other=[CANARY])
    structlog.get_logger("llm_backend").error("failed", exc_info=ValueError(CANARY))

    assert "canary" not in stream.getvalue()
    assert lines()[0]["event"] == logs.REDACTED


def test_a_secret_that_is_learnt_later_is_found_as_those_before_it(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("DEBUG", secrets=[CANARY], stream=stream)
    logs.withhold(["another-canary-0123"])

    structlog.get_logger("llm_backend.test").info("leak", first=CANARY, second="another-canary-0123")

    (line,) = lines()
    assert line["first"] == line["second"] == "[redacted]"
    logs.configure("DEBUG", stream=stream)


def test_a_secret_too_short_to_search_for_does_not_spoil_the_log(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", secrets=["info", ""], stream=stream)

    structlog.get_logger("llm_backend").info("ready")

    assert lines()[0]["level"] == "info"


def test_private_fields_are_withheld_and_prompts_only_when_asked_for(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("DEBUG", stream=stream)
    structlog.get_logger("llm_backend").debug("chat", prompt="canary", headers="canary", content="canary")
    logs.configure("DEBUG", stream=stream, prompts=True)
    structlog.get_logger("llm_backend").debug("chat", prompt="asked for " * 100, headers="canary")

    assert "canary" not in stream.getvalue()
    assert [line["prompt"] for line in lines()] == [logs.WITHHELD, "asked for " * 100]


def test_objects_are_named_not_shown_and_long_texts_cut(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", stream=stream)

    structlog.get_logger("llm_backend").info(
        "x" * 100_000, request={"messages": ["canary"]}, raw=b"canary", many=[1] * 99
    )

    (line,) = lines()
    assert line["request"] == "<dict>"
    assert line["raw"] == "<bytes>"
    assert len(line["many"]) == 20
    assert len(line["event"]) == logs.TEXT_LIMIT + 1


def fail() -> None:
    try:
        dict[str, str]()["canary"]
    except KeyError:
        try:
            int("canary")
        except ValueError as wrong:
            raise DatabaseUnavailable("The database does not answer.\n(canary)") from wrong


def test_an_exception_is_told_with_its_causes_and_in_words_where_they_are_ours(
    stream: io.StringIO, lines: Lines
) -> None:
    logs.configure("INFO", stream=stream)

    try:
        fail()
    except DatabaseUnavailable as error:
        structlog.get_logger("llm_backend").error("write failed", exc_info=error)
        structlog.get_logger("llm_backend").exception("as caught")
        logging.getLogger("uvicorn.error").exception("again")

    assert "canary" not in stream.getvalue()
    assert len(lines()) == 3
    for line in lines():
        ours, *others = line["exception"]
        assert (ours["type"], ours["text"]) == (
            "llm_backend.errors.serving.DatabaseUnavailable",
            "The database does not answer.",
        )
        assert [other["type"] for other in others] == ["ValueError", "KeyError"]
        assert not any("text" in other for other in others)
        assert ours["frames"][-1].endswith(" fail")


def test_no_exception_is_told_where_there_is_none(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", stream=stream)

    structlog.get_logger("llm_backend").error("nothing raised", exc_info=True)
    structlog.get_logger("llm_backend").error("nothing raised", exc_info=(None, None, None))

    assert all("exception" not in line for line in lines())


@pytest.mark.parametrize("name", ["connexion.validators.json", "connexion.middleware.exceptions", "uvicorn.access"])
def test_loggers_that_print_requests_are_silent(name: str, stream: io.StringIO) -> None:
    logging.getLogger(name)
    logs.configure("DEBUG", stream=stream)

    logging.getLogger(name).error("Validation error: 'canary' is too long")

    assert stream.getvalue() == ""


def test_libraries_do_not_chatter_at_debug(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("DEBUG", stream=stream)

    logging.getLogger("aiosqlite").debug("executing INSERT with ['canary']")
    logging.getLogger("sqlalchemy.engine").info("[parameters] canary")
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("alembic.runtime").info("Running")

    assert [line["event"] for line in lines()] == ["Started", "Running"]


def test_a_level_between_the_known_ones_is_rounded_down(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", stream=stream)

    logging.getLogger("somebody").log(45, "grave")

    assert lines()[0]["level"] == "error"


def test_a_record_that_cannot_be_formatted_does_not_show_its_arguments(
    stream: io.StringIO, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().handlers.clear()  # pytest's own handlers would raise
    logs.configure("INFO", stream=stream)

    logging.getLogger("somebody").warning("%d", "canary")

    assert [line["event"] for line in lines()] == [logs.UNREADABLE]
    assert "canary" not in capsys.readouterr().err


def test_a_hostile_line_costs_its_length_only() -> None:
    redact = logs.Redaction(["canary-value"])

    for hostile in ("://:" * 50_000, "bearer " * 30_000, "sk-" * 60_000, "a" * 200_000):
        assert len(redact(hostile)) < 300_000
