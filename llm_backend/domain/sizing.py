"""How much one request may use, and has used: what operations count differently."""

from abc import ABC, abstractmethod

from llm_backend.domain.bench import Bench
from llm_backend.domain.granting import Ask, Grant
from llm_backend.domain.prompts import text_size
from llm_backend.domain.usage import Price, Usage
from llm_backend.domain.work import Work
from llm_backend.errors import Json
from llm_backend.upstream.forms import Form
from llm_backend.upstream.routing import Route


class Sizing(ABC):
    """Of one request at one route. What looks through the body is remembered."""

    def __init__(self, work: Work, route: Route, bench: Bench) -> None:
        self._work = work
        self._route = route
        self._bench = bench

    @abstractmethod
    def ask(self, price: Price | None) -> Ask:
        """What the request may cost at most, at `price`."""

    @abstractmethod
    def guess(self, received: int, grant: Grant | None) -> Usage:
        """What is likely to be used once so much of the answer has come; within `grant`."""

    def received(self, content: Json, text: str) -> int:  # noqa: ARG002 (most are measured by what they say)
        """How much of an answer came, as `guess` takes it: the bytes of its text.

        `content`: the whole answer, parsed; None of one that came in pieces.
        """
        return text_size(text)

    def measure(self) -> None:
        """Look through the body, which may take a while."""
        self.ask(None)
        self.guess(0, None)

    @property
    def named_tokens(self) -> int:
        """The output that the client asked for; 0 where it named no length."""
        return 0

    def sent(self, grant: Grant) -> dict[str, Json] | Form:  # noqa: ARG002 (most are sent as they are)
        """The body to send, with the upstream's name for the model."""
        if self._work.form is not None:
            return self._work.form.replaced(model=self._route.upstream_model)
        return {**self._work.body, "model": self._route.upstream_model}

    def cut_at(self, grant: Grant) -> int | None:  # noqa: ARG002 (most cannot run away)
        """Tokens beyond which an answer has run away; None where nothing bounds it."""
        return None

    async def counted(self, guessed: Usage, received: str, grant: Grant | None) -> Usage:  # noqa: ARG002 (most cannot be counted)
        """What was used, where the upstream does not say: counted if that can be done, else as `guessed`."""
        return guessed

    def learn(self, reported: Usage, received: int) -> None:  # noqa: B027 (most learn nothing)
        """Take into account what the upstream says was used for so many bytes."""
