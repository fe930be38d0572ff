"""Where settings come from: environment, `.env`, the TOML file; each value with its origin."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr

from llm_backend.settings.model import Settings
from llm_backend.settings.tables import Budgets, FrontendsTable, UpstreamTable
from llm_backend.settings.variables import ALIASES, CONFIG, FROM_FILES, VARIABLES

SECRET_FILE_BYTES = 64 * 1024

Place = tuple[str, ...]
"""Where a value belongs, key by key: a model's id may hold dots."""


class SettingsRefused(Exception):
    """The settings are wrong; `problems` are lines fit to be printed, without any secret's value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was found: `kind` is environment, .env, file or default."""

    kind: str
    name: str = ""
    """The variable or the file."""
    is_alias: bool = False

    def __str__(self) -> str:
        alias = " (alias)" if self.is_alias else ""
        return f"{self.kind} {self.name}{alias}".strip()


Found = dict[Place, tuple[Any, Origin]]


class FileUpstream(UpstreamTable):
    """An upstream as the file may write it."""

    key_env: str | None = None
    key_file: str | None = None


class FileBudgets(Budgets):
    """`[budgets]` as the file may write it."""

    webhook_secret_file: str


class FileFrontends(FrontendsTable):
    """`[frontends]` as the file may write it."""

    jwt_secret_file: str


class FileShape(Settings):
    """The keys a file may have: those of the settings, and paths of files that hold secrets."""

    upstreams: Mapping[str, FileUpstream]
    budgets: FileBudgets
    frontends: FileFrontends
    admin_token_file: str
    secret_key_file: str
    database_url_file: str
    redis_url_file: str
    openai_api_key_file: str


def from_variables(variables: Mapping[str, str], kind: str, folder: Path) -> Found:
    """What `variables` set; an empty one counts as unset. Paths are relative to `folder`."""
    present = {name: value.strip() for name, value in variables.items() if value.strip()}
    found: Found = {}
    for name, path in (*reversed(ALIASES.items()), *VARIABLES.items()):
        if name in present:
            found[tuple(path.split("."))] = (present[name], Origin(kind, name, name in ALIASES))
    for name in FROM_FILES:
        if file := present.get(f"{name}_FILE"):
            if name in present:
                raise SettingsRefused((f"{name} and {name}_FILE are both set: set one of them.",))
            place = tuple(VARIABLES[name].split("."))
            found[place] = (_content(f"{name}_FILE", folder / file), Origin(kind, f"{name}_FILE"))
    return found


def from_dotenv(folder: Path) -> dict[str, str]:
    """The variables of `folder`'s `.env`; none where there is no such file."""
    path = folder / ".env"
    if not path.is_file():
        return {}
    try:
        # Without interpolation: a `$` in a password stays one, and the process's environment stays unread.
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused((f".env cannot be read: {_reason(error)}.",)) from None
    return {name: value for name, value in values.items() if value is not None}


def from_file(path: Path, variables: Mapping[str, str]) -> Found:
    """What the TOML file sets; `variables` resolve its `key_env`.

    Raises SettingsRefused naming every unknown key with the nearest known one.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused((f"{CONFIG}: {path} cannot be read: {_reason(error)}.",)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsRefused((f"{path}: no valid TOML: {_reason(error)}.",)) from None
    if wrong := tuple(_misplaced(table, FileShape, ())):
        raise SettingsRefused(tuple(f"{path}: {problem}" for problem in wrong))
    for name in FROM_FILES:
        above, _, key = VARIABLES[name].rpartition(".")
        inner = table.get(above, {}) if above else table
        _read_secret(inner, key, f"{key}_file", path, f"{above}." if above else "")
    for name, upstream in table.get("upstreams", {}).items():
        _resolve_key(upstream, f"upstreams.{name}", path, variables)
        if "timeouts" in upstream:
            # What it does not say itself is as for all.
            upstream["timeouts"] = table.get("timeouts", {}) | upstream["timeouts"]
    return {place: (value, Origin("file", str(path))) for place, value in _leaves(table, ())}


def nested(found: Found) -> dict[str, Any]:
    """The values as the tree that the model takes."""
    tree: dict[str, Any] = {}
    for place, (value, _) in found.items():
        branch = tree
        for key in place[:-1]:
            branch = branch.setdefault(key, {})
        branch.setdefault(place[-1], value)
    return tree


def _leaves(table: Mapping[str, Any], above: Place) -> Iterator[tuple[Place, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _misplaced(table: Mapping[str, Any], shape: type[BaseModel], above: Place) -> Iterator[str]:
    """One line for each key of `table` that `shape` does not have, or that is no table where it should be one."""
    fields = _fields(shape)
    for key, value in table.items():
        place = ".".join((*above, key))
        if key not in fields:
            yield f"unknown key {place}{_nearest(key, shape, above)}"
            continue
        inner, around = _inner(fields[key])
        if around == "list" and not isinstance(value, list):
            yield f"{place} must be a list of tables."
        elif around == "list":
            entries = {f"{key}[{index}]": entry for index, entry in enumerate(value)}
            yield from _misplaced_entries(entries, inner, above)
        elif inner is None and around is None:
            continue
        elif not isinstance(value, dict):
            yield f"{place} must be a table."
        elif around is None and inner:
            yield from _misplaced(value, inner, (*above, key))
        else:
            yield from _misplaced_entries(value, inner, (*above, key))


def _misplaced_entries(entries: Mapping[str, Any], shape: type[BaseModel] | None, above: Place) -> Iterator[str]:
    """As `_misplaced`, of each entry of a table that maps names to tables of this shape; None: to anything."""
    if shape is None:
        return
    for name, entry in entries.items():
        if isinstance(entry, dict):
            yield from _misplaced(entry, shape, (*above, name))
        else:
            yield f"{'.'.join((*above, name))} must be a table."


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, Literal["mapping", "list"] | None]:
    """The table within a field's type, and what holds such tables, where there may be several."""
    parts = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
    model = next((part for part in parts if issubclass(part, BaseModel)), None)
    if str(annotation).startswith("collections.abc.Mapping"):
        return model, "mapping"
    return model, "list" if model and str(annotation).startswith("tuple[") else None


def _fields(shape: type[BaseModel]) -> dict[str, Any]:
    """The types of a table's keys, by their names in the file."""
    return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}


def _nearest(key: str, shape: type[BaseModel], above: Place) -> str:
    """`; did you mean …?` of the keys here, else of those of any table."""
    here = {name: ".".join((*above, name)) for name in _fields(shape)}
    anywhere = {place.rpartition(".")[2]: place for place in _known(FileShape, "")}
    for known in (here, anywhere):
        if close := get_close_matches(key.lower(), known, n=1, cutoff=0.6):
            return f"; did you mean {known[close[0]]}?"
    return f"; known here: {', '.join(sorted(here))}."


def _known(shape: type[BaseModel], above: str) -> Iterator[str]:
    for name, annotation in _fields(shape).items():
        inner, around = _inner(annotation)
        yield f"{above}{name}"
        if inner:
            yield from _known(inner, f"{above}{name}.{'NAME.' if around == 'mapping' else ''}")


def _resolve_key(upstream: dict[str, Any], place: str, path: Path, variables: Mapping[str, str]) -> None:
    if (name := upstream.pop("key_env", None)) is not None:
        if "key" in upstream or "key_file" in upstream:
            raise SettingsRefused((f"{path}: {place} has more than one of key, key_env and key_file.",))
        if not (value := variables.get(str(name), "").strip()):
            raise SettingsRefused((f"{path}: {place}.key_env names the variable {name}, which is not set.",))
        upstream["key"] = value
    _read_secret(upstream, "key", "key_file", path, f"{place}.")


def _read_secret(table: dict[str, Any], key: str, file_key: str, path: Path, place: str = "") -> None:
    """Replace `file_key`, if `table` has it, by `key` with that file's content."""
    if (file := table.pop(file_key, None)) is None:
        return
    if key in table:
        raise SettingsRefused((f"{path}: {place}{key} and {place}{file_key} are both set: set one of them.",))
    table[key] = _content(f"{path}: {place}{file_key}", path.parent / str(file))


def _content(name: str, path: Path) -> SecretStr:
    """The text of a secret's file, without blanks around it."""
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_FILE_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused((f"{name}: {path} cannot be read: {_reason(error)}.",)) from None
    if not text:
        raise SettingsRefused((f"{name}: {path} is empty.",))
    return SecretStr(text)


def _reason(error: Exception) -> str:
    """Why reading failed, without what was read."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
