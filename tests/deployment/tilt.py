"""Runs the Tiltfile in a Starlark interpreter, with stand-ins for Tilt's builtins that record what they are told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import starlark
import yaml

from tests.deployment.facts import ROOT

PRELUDE = "os = struct(getenv = _getenv, path = struct(exists = _exists))"


class Failed(Exception):
    """The Tiltfile called `fail`, or is wrong; the message is what a user reads."""


@dataclass
class Told:
    """What Tilt would have learned of one run."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def named(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        return found


def up(environ: dict[str, str], folders: set[str], text: str | None = None) -> Told:
    """Run the Tiltfile as `tilt up` would where only `folders` are there. Raises Failed."""
    told = Told()
    module = starlark.Module()
    for name, stand_in in _stand_ins(told, environ, folders).items():
        module.add_callable(name, stand_in)
    dialect = starlark.Dialect.standard()
    dialect.enable_top_level_stmt = True
    builtins = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    source = (ROOT / "Tiltfile").read_text() if text is None else text
    try:
        starlark.eval(module, starlark.parse("prelude", PRELUDE, dialect), builtins)
        starlark.eval(module, starlark.parse("Tiltfile", source, dialect), builtins)
    except starlark.StarlarkError as error:
        raise Failed(str(error)) from None
    return told


def _stand_ins(told: Told, environ: dict[str, str], folders: set[str]) -> dict[str, Callable[..., Any]]:
    def k8s_yaml(stream: str) -> None:
        told.objects += yaml.safe_load_all(stream)

    def docker_build(ref: str, context: str) -> None:
        told.builds[ref] = context

    def k8s_resource(
        workload: str, port_forwards: list[str] | None = None, resource_deps: list[str] | None = None
    ) -> None:
        told.resources[workload] = {"port_forwards": port_forwards or [], "resource_deps": resource_deps or []}

    return {
        "_getenv": lambda name, default=None: environ.get(name, default),
        "_exists": lambda path: path in folders,
        "read_yaml_stream": lambda path: list(yaml.safe_load_all((ROOT / path).read_text())),
        "encode_yaml_stream": yaml.safe_dump_all,
        "k8s_yaml": k8s_yaml,
        "docker_build": docker_build,
        "k8s_resource": k8s_resource,
        "warn": told.warnings.append,
    }
