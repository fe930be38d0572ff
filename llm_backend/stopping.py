"""What a server that is told to stop lets end, and what it ends when that takes too long."""

from llm_backend.domain.services import Services


class Stopping:
    """All that is made here: there is none before the server has started."""

    def __init__(self) -> None:
        self._services: list[Services] = []

    def add(self, services: Services) -> None:
        """Count what these make, too."""
        self._services.append(services)

    @property
    def running(self) -> int:
        """How many answers are made, whether or not anyone waits; of those in the background, the noted too."""
        return sum(max(each.exchanges.running, each.responses.in_background) for each in self._services)

    @property
    def readers(self) -> int:
        """How many clients read events that are kept."""
        return sum(each.responses.readers for each in self._services)

    def release(self) -> None:
        """Have those clients read elsewhere what does not end here."""
        for each in self._services:
            each.responses.release()

    def cut(self) -> None:
        """End what runs, each with an error that its client can read."""
        for each in self._services:
            each.exchanges.cut()
            each.responses.cut()
