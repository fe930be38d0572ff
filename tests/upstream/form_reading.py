"""A form as somebody else reads it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast


def read(content_type: str, body: bytes) -> list[tuple[str | None, str | None, str, bytes]]:
    """Name, file name, media type and content of each part, as the standard library reads them."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = message_from_bytes(head + body, policy=policy.HTTP)
    assert not message.defects
    return [
        (
            cast(str | None, part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            cast(bytes, part.get_payload(decode=True)),
        )
        for part in cast(list[EmailMessage], message.get_payload())
    ]
