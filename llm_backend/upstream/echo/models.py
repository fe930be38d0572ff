"""The models: what is listed, and what is answered to beyond that."""

from llm_backend.errors import Json
from llm_backend.upstream.echo.directives import fault_of
from llm_backend.upstream.echo.faults import is_fault
from llm_backend.upstream.echo.script import Refusal

ECHO = "echo"
REASONING = "echo-reasoning"
EMBEDDING = "echo-embedding"
MODERATION = "echo-moderation"
IMAGE = "echo-image"
DALL_E = "echo-dall-e"
SPEECH = "echo-speech"
TRANSCRIBE = "echo-transcribe"
WHISPER = "echo-whisper"
_OWN = (ECHO, REASONING, EMBEDDING, MODERATION, IMAGE, DALL_E, SPEECH, TRANSCRIBE, WHISPER)
_CREATED = 1_735_689_600


class Models:
    """Those of its own, the `further` ids that answer as `echo`, and, unlisted, a model for each fault."""

    def __init__(self, further: tuple[str, ...] = ()) -> None:
        self._listed = (*_OWN, *further)

    def listing(self) -> Json:
        return {"object": "list", "data": [_model(name) for name in self._listed]}

    def retrieved(self, name: str) -> Json:
        """Raises Refusal, a 404, where there is no such model."""
        self.check(name)
        return _model(name)

    def check(self, name: str) -> None:
        """Raises Refusal, a 404, where there is no such model."""
        fault = fault_of(name)
        if name not in self._listed and not (fault and is_fault(fault.name)):
            message = f"The model {name[:64]!r} does not exist; there are {', '.join(self._listed)}."
            raise Refusal(message[:300], status=404, param="model", code="model_not_found")


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "llm-backend"}
