"""What a deployment may set; read once, frozen, secrets masked, unknown keys refused."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from llm_backend.settings import checks, sources
from llm_backend.settings.model import Settings
from llm_backend.settings.models import ModelSettings, PriceTable
from llm_backend.settings.sources import Origin, SettingsRefused
from llm_backend.settings.tables import Limits, Timeouts, Upstream
from llm_backend.settings.variables import CONFIG

__all__ = [
    "Limits",
    "Loaded",
    "ModelSettings",
    "Origin",
    "PriceTable",
    "Settings",
    "SettingsRefused",
    "Source",
    "Timeouts",
    "Upstream",
    "load_settings",
    "load_with_origins",
]

_RULES = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be on or off"),
}
"""What is asked of a value, by the kind of Pydantic's error, where its own words are a programmer's."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value that is no default came from, by its path."""

    settings: Settings
    origins: Mapping[tuple[str, ...], Origin]


def load_settings(
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """The settings of this process: environment, `.env` of the working folder, file, defaults, in this order.

    Raises SettingsRefused with every problem found.
    """
    return load_with_origins(environ, cwd).settings


def load_with_origins(
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Loaded:
    """As `load_settings`, and says where each value came from."""
    found = _gather(os.environ if environ is None else environ, (cwd or Path.cwd()).absolute())
    origins = {place: origin for place, (_, origin) in found.items()}
    try:
        settings = Settings(**sources.nested(found))
    except ValidationError as error:
        raise SettingsRefused(tuple(_lines(error, origins))) from None
    if problems := tuple(checks.problems(settings)):
        raise SettingsRefused(problems)
    return Loaded(settings, origins)


class Source:
    """Where the settings of this process come from, to be read once more when the file changes."""

    def __init__(self, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        """As `load_settings`."""
        self._environ = os.environ if environ is None else environ
        self._cwd = (cwd or Path.cwd()).absolute()
        named = {**sources.from_dotenv(self._cwd), **self._environ}.get(CONFIG, "").strip()
        self._file = self._cwd / named if named else None
        self._stamp = self._stamped()

    @property
    def has_changed(self) -> bool:
        """Whether the file is another one, or was written, since it was last read."""
        return self._stamped() != self._stamp

    def load(self) -> Settings:
        """Read them. Raises as `load_settings`."""
        # Before the file is read: what is written meanwhile is a change.
        self._stamp = self._stamped()
        return load_settings(self._environ, self._cwd)

    def _stamped(self) -> tuple[int, ...] | None:
        """Tells one state of the file from another; None where there is none."""
        try:
            told = self._file.stat() if self._file else None
        except OSError:
            told = None
        if told is None:
            return None
        return told.st_ino, told.st_size, told.st_mtime_ns


def _gather(environ: Mapping[str, str], cwd: Path) -> sources.Found:
    dotenv = sources.from_dotenv(cwd)
    variables = {**dotenv, **{name: value for name, value in environ.items() if value.strip()}}
    found: sources.Found = {("home",): (cwd, Origin("default"))}
    if config := variables.get(CONFIG, "").strip():
        found |= sources.from_file(cwd / config, variables)
    found |= sources.from_variables(dotenv, ".env", cwd)
    found |= sources.from_variables(environ, "environment", cwd)
    for place in {("home",), ("tokenizers",)} & found.keys():
        folder, origin = found[place]
        found[place] = (cwd / folder, origin)
    return found


def _lines(error: ValidationError, origins: Mapping[tuple[str, ...], Origin]) -> list[str]:
    """One line for each value that breaks its own rule; the value itself is never shown."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        if problem["type"] == "default_factory_not_called":
            continue  # the field it would have been made from is told already
        place = tuple(str(part) for part in problem["loc"])
        origin = _nearest_origin(place, origins)
        name = origin.name if origin.kind in {"environment", ".env"} else ".".join(place)
        told = problem["msg"].removeprefix("Value error, ").replace("Input should", "must", 1).rstrip(".")
        rule = _RULES.get(problem["type"], told)
        lines.append(f"{name} ({origin}): {rule}." if origin.kind in {"file", ".env"} else f"{name}: {rule}.")
    return lines


def _nearest_origin(place: tuple[str, ...], origins: Mapping[tuple[str, ...], Origin]) -> Origin:
    """Who set `place`, or the table around it where what is wrong is that `place` is missing."""
    lengths = range(len(place), 0, -1)
    around = (origin for length in lengths for known, origin in origins.items() if known[:length] == place[:length])
    return next(around, Origin("default"))
