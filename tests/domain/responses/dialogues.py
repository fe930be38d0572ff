"""Items of dialogues, as clients write them."""

from llm_backend.errors import Json


def said(role: str, *texts: str) -> Json:
    """A message in parts."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in texts]}


def call(call_id: str, **more: Json) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": "add", "arguments": "{}", **more}


def custom_call(call_id: str) -> Json:
    return {"type": "custom_tool_call", "call_id": call_id, "name": "shell", "input": "ls"}


def output(call_id: str, text: Json = "3", **more: Json) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": text, **more}


def thought(*texts: str, **more: Json) -> Json:
    content = [{"type": "reasoning_text", "text": text} for text in texts]
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": content, **more}


def chat_call(call_id: str) -> Json:
    """What a chat has for `call`."""
    return {"id": call_id, "type": "function", "function": {"name": "add", "arguments": "{}"}}


def chat_custom_call(call_id: str) -> Json:
    """What a chat has for `custom_call`."""
    return {"id": call_id, "type": "custom", "custom": {"name": "shell", "input": "ls"}}
