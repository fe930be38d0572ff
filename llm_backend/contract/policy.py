"""What `spec/policy.yaml` decides, written into the operations of a document."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import Operation
from llm_backend.domain.identity import EVERY_SCOPE
from llm_backend.edge.media import FORM
from llm_backend.errors import Json

FATES = ("served", "relayed", "not_served")
UNMETERED = "Relayed unmetered, as the settings of this server say: nobody is charged for it."
ENTRIES = frozenset({"fate", "access", "scope", "body", "form", "reason", "instead", "unmetered", "makes", "kept_if"})


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy file, as it is read."""

    security_schemes: Json
    body_limits: dict[str, int]
    configuration_fields: list[str]
    tags: dict[str, Json]
    operations: dict[str, Json]
    ownership: Json = field(default_factory=dict)

    def apply(self, operation: Operation, unmetered: Collection[str] = ()) -> None:
        """Writes `security`, `x-fate`, `x-reason`, `x-body-limit` and the like into the operation's own object.

        `unmetered`: the tags that are relayed although nobody can say what they cost.


        Raises ContractError for an operation without fate or security, for a scope that no key can have, for a form
        without a limit, and for an entry that means nothing.
        """
        ruling = self.tags.get(operation.tag, {}) | self.operations.get(operation.id, {})
        _refuse_unknown_entries(operation, ruling)
        if ruling.get("unmetered") and operation.tag in unmetered:
            ruling = ruling | {"fate": "relayed", "reason": UNMETERED, "instead": ""}
        operation.fields["x-fate"] = _fate(operation, ruling)
        operation.fields["security"] = _security(operation, ruling)
        _refuse_unknown_scopes(operation)
        if not operation.is_served:
            operation.fields["x-reason"] = _reason(operation, ruling)
        limit = self._body_limit(operation, ruling.get("body", "default"))
        if operation.is_answered and limit != self.body_limits["default"]:
            operation.fields["x-body-limit"] = limit
        if operation.is_answered and FORM in operation.fields.get("requestBody", {}).get("content", {}):
            operation.fields["x-form-limit"] = self._body_limit(operation, ruling.get("form", "a form"))
        for entry in ("makes", "kept_if"):
            if entry in ruling:
                operation.fields[f"x-{entry.replace('_', '-')}"] = ruling[entry]

    def refuse_metered(self, unmetered: Collection[str]) -> None:
        """Raises ContractError where a tag is to be relayed unmetered that is none, or must not be."""
        for tag in unmetered:
            ruling = self.tags.get(tag, {})
            if ruling.get("unmetered"):
                continue
            fate = ruling.get("fate")
            why = f"it is {fate}" if fate in ("served", "relayed") else ruling.get("reason", "there is no such tag")
            raise ContractError(f"relay.unmetered cannot have {tag!r}: {why}")

    def refuse_unknown(self, operation_ids: set[str]) -> None:
        """Raises ContractError where the policy speaks of an operation that is not among these."""
        for name in sorted(self.operations.keys() - operation_ids):
            raise ContractError(f"The policy speaks of an operation {name!r}, which no document describes.")

    def _body_limit(self, operation: Operation, reach: str) -> int:
        if reach not in self.body_limits:
            raise ContractError(f"The policy of {operation} has a body of kind {reach!r}, which has no limit.")
        return self.body_limits[reach]


def read_policy(file: Path) -> Policy:
    """The policy in `file`. Raises ContractError where it is not one."""
    content = read_yaml(file)
    try:
        return Policy(**content)
    except TypeError as error:
        raise ContractError(f"{file.name} is no policy: {error}.") from None


def read_yaml(file: Path) -> Json:
    """The file's one document. Raises ContractError where it cannot be read."""
    import yaml  # noqa: PLC0415 (needed at start only)

    try:
        return yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (safe both)
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ContractError(f"{file} cannot be read: {reason}.") from None


def _refuse_unknown_entries(operation: Operation, ruling: Json) -> None:
    for name in sorted(ruling.keys() - ENTRIES):
        raise ContractError(f"The policy of {operation} has an entry {name!r}, which means nothing.")


def _fate(operation: Operation, ruling: Json) -> str:
    fate: str | None = ruling.get("fate")
    if fate is None:
        raise ContractError(f"The operation {operation} has no fate in the policy, nor has its tag {operation.tag!r}.")
    if fate not in FATES:
        raise ContractError(f"The operation {operation} has the fate {fate!r}; it may be {' or '.join(FATES)}.")
    return fate


def _security(operation: Operation, ruling: Json) -> list[dict[str, list[str]]]:
    access = ruling.get("access", "key" if "scope" in ruling else None)
    scopes = [ruling["scope"]] if "scope" in ruling else []
    if access == "public":
        return []
    if access in ("key", "admin"):
        return [{access: scopes}]
    if access is None and "security" in operation.fields:
        declared: list[dict[str, list[str]]] = operation.fields["security"]
        return declared
    raise ContractError(f"The operation {operation} has no security: say public, key or admin in the policy.")


def _refuse_unknown_scopes(operation: Operation) -> None:
    for scope in sorted({scope for scheme in operation.fields["security"] for of in scheme.values() for scope in of}):
        if scope not in EVERY_SCOPE:
            known = ", ".join(sorted(EVERY_SCOPE))
            raise ContractError(f"The operation {operation} asks for the scope {scope!r}; a key may have {known}.")


def _reason(operation: Operation, ruling: Json) -> str:
    if "reason" not in ruling:
        fate = operation.fields["x-fate"].replace("_", " ")
        raise ContractError(f"The operation {operation} is {fate}, and the policy gives no reason.")
    parts = [ruling["reason"], ruling.get("instead", "")]
    if ruling.get("unmetered") and operation.fields["x-fate"] == "not_served":
        parts.append(f'A server of one tenant can relay it unmetered: relay.unmetered = ["{operation.tag}"].')
    return " ".join(part for part in parts if part)
