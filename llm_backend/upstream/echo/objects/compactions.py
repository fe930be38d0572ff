"""A long talk in one item, which is read again as what it holds; and how many tokens a talk has."""

from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.objects.items import packed
from llm_backend.upstream.echo.objects.responses import usage_told
from llm_backend.upstream.echo.objects.store import Store
from llm_backend.upstream.echo.objects.talks import read_talk
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request
from llm_backend.upstream.echo.usage import Usage


def count(store: Store, request: Request) -> Prepared:
    """The tokens of the input. Raises Refusal where the request is broken."""
    talk = read_talk(store, request.fields)
    payload = {"object": "response.input_tokens", "input_tokens": talk.chat.prompt_tokens}
    return Prepared(lambda: Event(payload, is_part=True), talk.chat.directives, talk.chat.prompt_tokens)


def compact(store: Store, request: Request) -> Prepared:
    """The talk as one item. Raises Refusal where the request is broken."""
    talk = read_talk(store, request.fields)
    content = packed(talk.items)
    usage = Usage(talk.chat.prompt_tokens, words.count(content)).told(talk.chat.directives)
    payload = {
        "id": store.new_id("resp_"),
        "object": "response.compaction",
        "created_at": store.moment(),
        "output": [{"id": store.new_id("cmp_"), "type": "compaction", "encrypted_content": content}],
        "usage": usage_told(usage),
    }
    return Prepared(lambda: Event(payload, usage.completion), talk.chat.directives, talk.chat.prompt_tokens)
