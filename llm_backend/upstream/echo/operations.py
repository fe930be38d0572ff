"""The operations that ask a model, by path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from llm_backend.upstream.echo.chat import speak
from llm_backend.upstream.echo.chat_wire import Answer
from llm_backend.upstream.echo.completions import complete
from llm_backend.upstream.echo.conversation import converse
from llm_backend.upstream.echo.embeddings import embed
from llm_backend.upstream.echo.images import edit, generate, vary
from llm_backend.upstream.echo.models import IMAGE, MODERATION, REASONING
from llm_backend.upstream.echo.moderations import moderate
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request
from llm_backend.upstream.echo.speech import speak_aloud
from llm_backend.upstream.echo.transcripts import transcribe, translate


@dataclass(frozen=True, slots=True)
class Operation:
    """How a request is answered, and by which model where it names none; None: it has to name one."""

    prepare: Callable[[Request], Prepared]
    model: str | None = None


def chat(request: Request) -> Prepared:
    conversation = converse(request.fields, reasons=request.fields["model"] == REASONING)
    answer = Answer(conversation, speak(conversation, request.digest), request.digest)
    return Prepared(
        answer.whole, conversation.directives, conversation.prompt_tokens, answer.events, streams=request.streams
    )


def _completion(request: Request) -> Prepared:
    completion = complete(request.fields, request.digest)
    return Prepared(
        completion.whole, completion.directives, completion.prompt_tokens, completion.events, streams=request.streams
    )


def _embedding(request: Request) -> Prepared:
    directives, event = embed(request.fields)
    return Prepared(lambda: event, directives, event.payload["usage"]["prompt_tokens"])


OPERATIONS: Final[Mapping[str, Operation]] = {
    "/chat/completions": Operation(chat),
    "/completions": Operation(_completion),
    "/embeddings": Operation(_embedding),
    "/moderations": Operation(moderate, MODERATION),
    "/images/generations": Operation(generate, IMAGE),
    "/images/edits": Operation(edit, IMAGE),
    "/images/variations": Operation(vary, IMAGE),
    "/audio/speech": Operation(speak_aloud),
    "/audio/transcriptions": Operation(transcribe),
    "/audio/translations": Operation(translate),
}
