from collections.abc import Callable
from pathlib import Path

import pytest

from llm_backend.settings import Settings, load_settings
from tests.settings.loading import Load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Settings from the given environment, in an empty folder."""
    return lambda **environ: load_settings(environ, tmp_path)


@pytest.fixture
def load_file(tmp_path: Path) -> Callable[..., Settings]:
    """Settings from the given TOML text, and environment."""

    def load(text: str, **environ: str) -> Settings:
        (tmp_path / "llm.toml").write_text(text)
        return load_settings({"LLM_BACKEND_CONFIG": "llm.toml", **environ}, tmp_path)

    return load
