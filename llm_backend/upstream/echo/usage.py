"""What an answer says it cost."""

from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo.directives import Directives


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as reported: `reasoning` is part of `completion`, `cached` part of `prompt`."""

    prompt: int
    completion: int
    reasoning: int = 0
    cached: int = 0

    def told(self, directives: Directives) -> "Usage":
        """With the counts that the prompt asked to be told."""
        given = directives.tokens
        return Usage(
            prompt=given.get("prompt", self.prompt),
            completion=given.get("completion", self.completion),
            reasoning=given.get("reasoning", self.reasoning),
            cached=given.get("cached", self.cached),
        )

    def payload(self) -> Json:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
