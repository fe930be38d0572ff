"""Objects that the echo model keeps for a while: files, vector stores, containers, conversations, responses, chats.

The last three are for whoever asks it alone (`llm-backend echo`): this server keeps its own, and asks it to keep none.
"""

from llm_backend.upstream.echo.objects.objects import Objects

__all__ = ["Objects"]
