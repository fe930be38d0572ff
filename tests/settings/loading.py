"""How the tests of settings load them."""

from collections.abc import Callable

import pytest

from llm_backend.settings import Settings, SettingsRefused

SECRET = "s" * 32
POSTGRES = {"DATABASE_URL": "postgresql://app:pass-word-1@db/llm", "SECRET_KEY": SECRET}

Load = Callable[..., Settings]


def refused(load: Callable[..., Settings], *text: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsRefused) as caught:
        load(*text, **environ)
    return caught.value.problems
