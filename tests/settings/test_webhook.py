"""Whom what happens is told, and what it is signed with."""

import pytest

from tests.settings.loading import Load, refused


def test_a_webhook_beyond_this_machine_needs_encryption(load: Load) -> None:
    (problem,) = refused(load, WEBHOOK_URL="http://hooks.example/b", WEBHOOK_SECRET="any")

    assert "use https://" in problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/b", "http://[::1]/b", "http://localhost/b", "https://h.example"])
def test_a_webhook_on_this_machine_needs_none(load: Load, url: str) -> None:
    assert load(WEBHOOK_URL=url, WEBHOOK_SECRET="any").budgets.webhook_url == url


def test_a_webhooks_secret_that_cannot_be_read_is_refused(load: Load) -> None:
    (problem,) = refused(load, WEBHOOK_URL="https://h.example", WEBHOOK_SECRET="whsec_canary-1234")

    assert "base64" in problem
    assert "canary" not in problem
