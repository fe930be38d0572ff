"""How many tokens a text is likely to have, for the answers whose upstream did not say."""

from collections import OrderedDict

from llm_backend.domain.usage import Usage

BYTES_PER_TOKEN = 4.0
"""What English text has with today's tokenizers, near enough until a model has reported its own."""
PLAUSIBLE_BYTES_PER_TOKEN = (1.0, 8.0)
"""A report outside of this says something of the upstream, nothing of its tokenizer."""
WEIGHT = 0.2
"""How much one report moves a model's figure."""
MODELS_REMEMBERED = 1024


class Ratios:
    """Bytes per token of each model, corrected by what it reported lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, float] = OrderedDict()

    def tokens(self, model: str, size_bytes: int) -> int:
        """Tokens of a text of `size_bytes`, rounded up."""
        return -int(-size_bytes // self._known.get(model, BYTES_PER_TOKEN))

    def learn(self, model: str, size_bytes: int, tokens: int) -> None:
        """Take into account that a text of `size_bytes` had `tokens`."""
        least, most = PLAUSIBLE_BYTES_PER_TOKEN
        if not tokens or not least <= size_bytes / tokens <= most:
            return
        known = self._known.pop(model, BYTES_PER_TOKEN)
        self._known[model] = known + WEIGHT * (size_bytes / tokens - known)
        if len(self._known) > MODELS_REMEMBERED:
            self._known.popitem(last=False)


class Estimates:
    """Usage from sizes. Costs two divisions; never fails and never waits."""

    def __init__(self) -> None:
        self._prompts = Ratios()
        self._completions = Ratios()

    def usage(self, model: str, prompt_bytes: int, completion_bytes: int) -> Usage:
        """The likely usage of a prompt and a completion of these sizes in UTF-8."""
        return Usage(self._prompts.tokens(model, prompt_bytes), self._completions.tokens(model, completion_bytes))

    def learn(self, model: str, usage: Usage, prompt_bytes: int, completion_bytes: int) -> None:
        """Take a reported usage into account."""
        self._prompts.learn(model, prompt_bytes, usage.text_prompt_tokens)
        self._completions.learn(model, completion_bytes, usage.text_completion_tokens)
