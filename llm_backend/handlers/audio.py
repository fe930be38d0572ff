"""`/v1/audio`."""

from starlette.responses import Response

from llm_backend.domain.answers import TEXT
from llm_backend.domain.trades import SPEECH, TRANSCRIPTIONS, TRANSLATIONS, Trade
from llm_backend.edge.call import Call
from llm_backend.edge.replies import binary, streamed, whole

TEXTS = frozenset({"text", "srt", "vtt"})
"""The forms of a transcript that are no JSON."""


async def create_speech(call: Call) -> Response:
    """A text that is spoken: as a sound, or as events where the caller asked for them."""
    if call.body.get("stream_format") == "sse":
        return await streamed(call, SPEECH)
    return await binary(call, SPEECH)


async def create_transcription(call: Call) -> Response:
    """What is said, as it is said: whole, or as events where the caller asked for a stream."""
    if call.body.get("stream"):
        return await streamed(call, TRANSCRIPTIONS)
    return await _written(call, TRANSCRIPTIONS)


async def create_translation(call: Call) -> Response:
    """What is said, in English."""
    return await _written(call, TRANSLATIONS)


async def _written(call: Call, trade: Trade) -> Response:
    return await whole(call, trade, TEXT if call.body.get("response_format") in TEXTS else None)
