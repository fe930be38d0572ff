"""Models' ids: what can be one, the same in requests, configuration and upstreams' lists, and what one tells."""

import re

MODEL_ID_LIMIT = 256
"""The longest one, in characters."""

_MODEL_ID = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{MODEL_ID_LIMIT}}}")
"""As the contract has it: Python's isprintable() knows only the letters of its own Unicode version."""

RULE = f"A model's id is 1 to {MODEL_ID_LIMIT} characters, none of them a control."

_NO_CHAT = (
    "audio", "babbage", "bge-", "dall-e", "davinci", "embed", "image", "instruct-0", "moderation", "realtime",
    "rerank", "sora", "speech", "transcribe", "tts", "whisper",
)  # fmt: skip
"""Parts of the ids of models that do not chat, in the lists of OpenAI and the local engines."""


def is_model_id(name: str) -> bool:
    return _MODEL_ID.fullmatch(name) is not None


def seems_to_chat(name: str) -> bool:
    """Whether nothing in `name` speaks against it: lists say no more."""
    return not any(part in name.lower() for part in _NO_CHAT)
