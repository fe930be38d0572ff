"""Names of what is made here: nobody has had them, and nobody can guess them."""

import re
from secrets import randbits

from llm_backend.domain.key_text import base62

ID_BITS, ID_DIGITS = 160, 27

_MADE_HERE = re.compile(rf"[a-z]+_[0-9A-Za-z]{{{ID_DIGITS}}}")


def public_id(prefix: str) -> str:
    """A name that nobody has had: `prefix` tells what it is of."""
    return f"{prefix}_{random_part()}"


def random_part() -> str:
    """What such a name is unique by."""
    return base62(randbits(ID_BITS), ID_DIGITS)


def is_made_here(name: str) -> bool:
    """Whether it has the form of what `public_id` gives."""
    return _MADE_HERE.fullmatch(name) is not None
