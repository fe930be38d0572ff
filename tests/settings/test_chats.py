"""What is set for chats."""

import pytest

from llm_backend.settings import SettingsRefused
from tests.settings.loading import Load


def test_chats_have_the_values_that_their_clients_expect(load_file: Load) -> None:
    chats = load_file("").chats

    assert (chats.chat_model, chats.text_model, chats.temperature) == (None, None, 0.7)
    assert (chats.prefixes.instruction, chats.prefixes.user) == ("My request: ", "My request: ")
    assert chats.prefixes.assistant == "Your response: "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[chats]\nchat_model = "n"\n[models.m]', 'chats.chat_model names "n", which is no model'),
        ('[chats]\ntext_model = "n"\n[models.m]', 'chats.text_model names "n", which is no model'),
        ('[chats]\ntext_model = "a\\tb"', "A model's id is"),
        ("[chats]\ntemperature = 3", "chats.temperature"),
        ("[chats.prefixes]\nsystem = ''", "unknown key chats.prefixes.system"),
    ],
)
def test_what_cannot_hold_for_chats_refuses_the_start(load_file: Load, text: str, reason: str) -> None:
    with pytest.raises(SettingsRefused, match=reason):
        load_file(text)


def test_a_chats_model_may_be_an_alias(load_file: Load) -> None:
    assert load_file('[chats]\nchat_model = "n"\n[models.m]\n[aliases]\nn = "m"').chats.chat_model == "n"
