"""What people see on a terminal, and what programs read from a pipe."""

import io
import sys

import pytest

from llm_backend.cli.printing import show, show_one

ROWS = [(1, "[bold]alice[/bold]", None), (22, "b", "Physics")]


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def test_people_get_a_table_in_which_names_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    show(("id", "name", "course"), ROWS)

    assert "┃" in terminal.getvalue()
    assert "[bold]alice[/bold]" in terminal.getvalue()


def test_programs_get_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show(("id", "name", "course"), ROWS)

    assert capsys.readouterr().out.splitlines() == [
        "id  name                course",
        "1   [bold]alice[/bold]",
        "22  b                   Physics",
    ]


def test_one_thing_is_told_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_one({"name": "alice", "users": ["s1", "s2"], "course": None})

    assert capsys.readouterr().out.splitlines() == ["field   value", "name    alice", "users   s1, s2", "course"]
