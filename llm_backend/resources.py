"""Where the documents and migrations are: beside the package in a checkout, inside it in a wheel."""

from importlib.resources import as_file, files
from pathlib import Path


def resource(name: str) -> Path:
    """The folder `name` (`spec` or `migrations`). Raises FileNotFoundError where the installation lacks it."""
    package = files("llm_backend")
    with as_file(package) as folder:
        for candidate in (folder / name, folder.parent / name):
            if candidate.is_dir():
                return candidate
    raise FileNotFoundError(f"The installation of llm-backend has no {name!r} folder.")
