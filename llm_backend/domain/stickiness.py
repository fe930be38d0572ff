"""Which requests are best answered by the same upstream: those that begin alike, which it may still know."""

from hashlib import blake2b

from llm_backend.errors import Json

BEGINNING = 4096
"""How many characters of each text count."""


def sticky_key(account_id: int, body: Json) -> bytes | None:
    """A digest of the account and of how its conversation begins; None where there is none.

    The client's own `prompt_cache_key` goes before. Otherwise a conversation begins with everything up to its first
    word of the user: an account with one system prompt for all its users is not bound to one upstream.
    """
    named = body.get("prompt_cache_key")
    parts = [named] if isinstance(named, str) and named else _beginning(body)
    if not parts:
        return None
    text = "\0".join([str(account_id), *parts])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _beginning(body: Json) -> list[str]:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return [prompt[:BEGINNING]]
    found = []
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        found.append(_text(message.get("content"))[:BEGINNING])
        if message.get("role") == "user":
            break
    return found


def _text(content: Json) -> str:
    """What is said in a message, without its pictures and sounds."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""
