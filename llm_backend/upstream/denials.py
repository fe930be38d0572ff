"""Who refuses what nobody but this server asks for: it is not asked for there again."""

from collections import OrderedDict

MODELS_REMEMBERED = 1024


class Denials:
    """Models of one upstream, the latest that refused."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, None] = OrderedDict()

    def note(self, model: str) -> None:
        """Remember that `model` answers without it."""
        self._models[model] = None
        self._models.move_to_end(model)
        if len(self._models) > MODELS_REMEMBERED:
            # Names of models are the clients' to choose, and have no end.
            self._models.popitem(last=False)

    def holds(self, model: str) -> bool:
        """Whether `model` is among them."""
        return model in self._models
