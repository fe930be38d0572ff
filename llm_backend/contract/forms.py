"""A form's body: from parts to the object that the operation's schema describes."""

import re
from dataclasses import dataclass, field

from llm_backend.contract.descent import find_fault
from llm_backend.contract.faults import dotted
from llm_backend.contract.operations import python_name
from llm_backend.contract.parameters import Parameter, alternatives
from llm_backend.contract.schemas import Schemas, below
from llm_backend.contract.unions import Branch
from llm_backend.edge.strict_json import parse
from llm_backend.errors import InvalidForm, InvalidJson, InvalidRequest, Json
from llm_backend.upstream.forms import Form, Part

_NAME = re.compile(r"([^\[\]]+)(?:(\[\])|\[([^\[\]]+)\])?")
"""`image`, `image[]`, `chunking_strategy[type]`."""


@dataclass(slots=True)
class _Sent:
    """All parts of one field."""

    plain: list[Part] = field(default_factory=list)
    """Those named as the field, or as its list."""
    within: dict[str, Part] = field(default_factory=dict)
    """Those named as one of its keys."""
    is_list: bool = False


class FormFields:
    """The fields that one operation's form may have."""

    def __init__(self, schemas: Schemas, pointer: str) -> None:
        """`pointer` is where the schema of the body stands."""
        self._schemas = schemas
        self._pointer = pointer
        self._fields: dict[str, _Field] = {}
        for branch in alternatives(schemas, pointer):
            for name in branch.schema.get("properties", {}):
                self._fields.setdefault(name, _Field(schemas, name, below(branch.pointer, "properties", name)))
        schemas.check(pointer)

    def read(self, form: Form) -> dict[str, Json]:
        """The body that the form means, valid; a file stands in it as its name.

        What the schema does not name is let pass, as it is sent. Raises InvalidRequest.
        """
        body: dict[str, Json] = {}
        for name, sent in _by_name(form).items():
            known = self._fields.get(name)
            body[name] = _untyped(sent) if known is None else known.read(self._schemas, sent)
        if not self._schemas.is_valid(self._pointer, body):
            raise find_fault(self._schemas, self._pointer, body).error()
        return body


class _Field:
    """One field of the schema."""

    def __init__(self, schemas: Schemas, name: str, pointer: str) -> None:
        self._name = name
        self._parameter = Parameter(name, python_name(name), pointer, is_required=False, is_split=False)
        branches = alternatives(schemas, pointer)
        leaves = [leaf for branch in branches for leaf in _leaves(schemas, branch)]
        self._is_typed = bool(branches)
        self._takes_files = any(_is_file(leaf) for leaf in leaves) or not leaves
        self._takes_texts = any(not _is_file(leaf) for leaf in leaves) or not leaves
        self._takes_lists = any("array" in branch.types for branch in branches)
        self._takes_objects = any("object" in branch.types for branch in branches)

    def read(self, schemas: Schemas, sent: _Sent) -> Json:
        """Its value, typed. Raises InvalidRequest."""
        if not self._is_typed:  # of no type at all: one that may not be set, which the body's own check says
            return _untyped(sent)
        for part in (*sent.plain, *sent.within.values()):
            if part.filename is not None and not self._takes_files:
                raise self._wrong("must be a text field, not a file")
            if part.filename is None and not self._takes_texts:
                raise self._wrong("must be a file: a part of the form with a filename")
        if sent.within and sent.plain:
            raise self._wrong("is sent both whole and by its keys")
        if sent.within:
            if not self._takes_objects:
                raise self._wrong("has no keys")
            return self._parameter.read_fields(schemas, {key: _value(part) for key, part in sent.within.items()})
        if (sent.is_list or len(sent.plain) > 1) and not self._takes_lists:
            raise self._wrong("is one field of the form, and no list")
        if self._takes_objects and not sent.is_list and (found := _object(_value(sent.plain[-1]))) is not None:
            return found
        return self._parameter.read(schemas, [_value(part) for part in sent.plain], is_list=sent.is_list)

    def _wrong(self, expected: str) -> InvalidRequest:
        param = dotted((self._name,))
        return InvalidRequest(f"'{param}' {expected}.", param=param, code="invalid_type")


def _by_name(form: Form) -> dict[str, _Sent]:
    """The parts by the fields that they belong to. Raises InvalidForm for a name that has no such meaning."""
    found: dict[str, _Sent] = {}
    for part in form.parts:
        name = _NAME.fullmatch(part.name)
        if name is None:
            raise InvalidForm("A form's fields are named as 'field', 'field[]' or 'field[key]'.")
        sent = found.setdefault(name[1], _Sent())
        if name[3] is None:
            sent.plain.append(part)
            sent.is_list = sent.is_list or name[2] is not None
        elif name[3] in sent.within:
            param = dotted((name[1], name[3]))
            raise InvalidForm("A key of a field is sent more than once.", param=param or None)
        else:
            sent.within[name[3]] = part
    return found


def _value(part: Part) -> str:
    """What stands in the body for the part."""
    return part.beginning(part.size).decode() if part.filename is None else part.filename


def _object(text: str) -> Json:
    """The object whose JSON the text is, as OpenAPI has objects sent in a form; None where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return parse(text.encode())
    except InvalidJson:
        return None  # a text like others, which the schema takes or refuses


def _untyped(sent: _Sent) -> Json:
    if sent.within:
        return {key: _value(part) for key, part in sent.within.items()}
    values = [_value(part) for part in sent.plain]
    return values if sent.is_list or len(values) > 1 else values[0]


def _leaves(schemas: Schemas, branch: Branch) -> list[Branch]:
    """What single parts may be: of an array its items, of an object texts."""
    if "array" in branch.types and "items" in branch.schema:
        return alternatives(schemas, below(branch.pointer, "items"))
    return [branch] if set(branch.types) - {"null"} else []


def _is_file(branch: Branch) -> bool:
    return bool(branch.schema.get("format") == "binary")
