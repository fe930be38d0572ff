"""What every exchange works with."""

from dataclasses import dataclass

from llm_backend.domain.clock import Clock
from llm_backend.domain.estimates import Estimates
from llm_backend.domain.limits import Limits
from llm_backend.domain.metering import Metering
from llm_backend.domain.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Bench:
    """Shared by all of them."""

    metering: Metering
    estimates: Estimates
    tokenizer: Tokenizer
    limits: Limits
    clock: Clock
    total_seconds: float
    """What a whole answer may take, all attempts together; no retry of a stream begins later."""
    default_output_tokens: int = 16_384
    """What is held back for an answer whose length nobody bounds."""
    logs_prompts: bool = False
    """Whether what is sent upstream is written to the log too."""
