"""Objects that the echo model keeps for a while: files, vector stores, containers, conversations, responses, chats."""

from llm_backend.upstream.echo.objects.objects import Objects

__all__ = ["Objects"]
