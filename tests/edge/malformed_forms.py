"""Forms that servers have been known to get wrong, and what this one says to them."""

from dataclasses import dataclass

from tests.edge.form_app import FORM_LIMIT

BOUNDARY = "b0und"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PDF = b"%PDF-1.7"


@dataclass(frozen=True)
class Malformed:
    """A body, and the error that it is answered with."""

    body: bytes
    status: int = 400
    code: str = "invalid_form"
    param: str | None = None
    content_type: str | None = TYPE
    length: int | None = None
    """What is said of the body's length, where that is not true."""


def part(head: str, content: bytes = b"x") -> bytes:
    return f"--{BOUNDARY}\r\n".encode() + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes = b"x", *lines: str, also: str = "") -> bytes:
    return part("\r\n".join((f'Content-Disposition: form-data; name="{name}"{also}', *lines)), content)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FILE = field("file", b"RIFF", "Content-Type: audio/wav", also='; filename="a.wav"')
MODEL = field("model")
GOOD = form(FILE, MODEL)

MALFORMED: dict[str, Malformed] = {
    "no type": Malformed(GOOD, 415, "unsupported_media_type", content_type=None),
    "no boundary": Malformed(GOOD, content_type="multipart/form-data"),
    "empty boundary": Malformed(GOOD, content_type='multipart/form-data; boundary=""'),
    "two boundaries": Malformed(GOOD, content_type=f"{TYPE}; boundary=another"),
    "long boundary": Malformed(GOOD, content_type=f"multipart/form-data; boundary={'b' * 71}"),
    "wrong boundary": Malformed(GOOD, content_type="multipart/form-data; boundary=another"),
    "charset": Malformed(GOOD, 415, "unsupported_media_type", content_type=f"{TYPE}; charset=utf-16"),
    "parameters": Malformed(GOOD, 415, "unsupported_media_type", content_type="multipart/form-data; boundary"),
    "another multipart": Malformed(
        GOOD, 415, "unsupported_media_type", content_type=TYPE.replace("form-data", "mixed")
    ),
    "urlencoded": Malformed(b"a=b", 415, "unsupported_media_type", content_type="application/x-www-form-urlencoded"),
    "json where only forms are taken": Malformed(b"{}", 415, "unsupported_media_type", content_type="application/json"),
    "json in a form's clothes": Malformed(b"{}"),
    "nothing": Malformed(b"", code="missing_required_parameter"),
    "no parts": Malformed(form(), code="missing_required_parameter", param="file"),
    "only the beginning": Malformed(GOOD[:20]),
    "no last boundary": Malformed(GOOD.removesuffix(b"--\r\n")),
    "cut in a file": Malformed(GOOD[: GOOD.index(b"RIFF") + 2]),
    "cut in a head": Malformed(GOOD[: GOOD.index(b"form-data")]),
    "no blank line": Malformed(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a\r\n--{BOUNDARY}--\r\n".encode()
    ),
    "bare line feeds": Malformed(GOOD.replace(b"\r\n", b"\n")),
    "a preamble": Malformed(b"This is a form.\r\n" + GOOD),
    "a long preamble": Malformed(b"\r\n" * 200_000 + GOOD),
    "a long epilogue": Malformed(GOOD + b" " * 400_000),
    "padding": Malformed(GOOD.replace(b"b0und\r\n", b"b0und" + b" " * 300_000 + b"\r\n")),
    "5,000 fields": Malformed(form(*[field(f"f{n}") for n in range(5_000)])),
    "a file of boundaries": Malformed(form(field("file", b"\r\n--b0undx" * 5_000, also='; filename="a"'))),
    "3 MB of text": Malformed(form(FILE, field("prompt", b"x" * 3_000_000)), 413, "request_too_large", "prompt"),
    "5 MB of texts": Malformed(
        form(FILE, *[field(f"t{n}", b"x" * 1_000_000) for n in range(5)]), 413, "request_too_large", "t4"
    ),
    "too large by its length": Malformed(b"", 413, "request_too_large", length=FORM_LIMIT + 1),
    "a long head": Malformed(form(field("a", b"x", "X-A: " + "a" * 9_000))),
    "a head of long lines": Malformed(form(field("a", b"x", *[f"X-{n}: {'a' * 3_000}" for n in range(3)]))),
    "a long header name": Malformed(form(field("a", b"x", "X" * 9_000 + ": a"))),
    "many header lines": Malformed(form(field("a", b"x", *[f"X-{n}: a" for n in range(20)]))),
    "a header line without colon": Malformed(form(field("a", b"x", "nothing"))),
    "a header line twice": Malformed(form(field("a", b"x", 'content-disposition: form-data; name="b"'))),
    "a head that is not UTF-8": Malformed(form(field("a")).replace(b'"a"', b'"\xff"')),
    "no disposition": Malformed(form(part("Content-Type: text/plain"))),
    "an attachment": Malformed(form(part('Content-Disposition: attachment; name="a"'))),
    "no name": Malformed(form(part("Content-Disposition: form-data"))),
    "an empty name": Malformed(form(field(""))),
    "two names": Malformed(form(part('Content-Disposition: form-data; name="model"; name="a"'))),
    "a name with a NUL": Malformed(form(field("model\x00"))),
    "a name with a tab": Malformed(form(field("mo\tdel"))),
    "a long name": Malformed(form(field("a" * 201))),
    "a name without end": Malformed(form(part('Content-Disposition: form-data; name="a'))),
    "brackets in a name": Malformed(form(field("a[b][c]"))),
    "a file name with a NUL": Malformed(form(field("file", PDF, also='; filename="a\x00.png"')), param="file"),
    "a file name with a line feed": Malformed(form(field("file", PDF, also='; filename="a\nb"')), param="file"),
    "a long file name": Malformed(form(field("file", PDF, also=f'; filename="{"a" * 300}"')), param="file"),
    "two file names": Malformed(form(field("file", PDF, also='; filename="a"; filename="b"'))),
    "a file name in another charset": Malformed(form(field("file", PDF, also="; filename*=latin-1''a%E9"))),
    "a file name that is not UTF-8": Malformed(form(field("file", PDF, also="; filename*=UTF-8''a%E9"))),
    "base64": Malformed(form(field("prompt", b"eA==", "Content-Transfer-Encoding: base64")), param="prompt"),
    "a form in a form": Malformed(
        form(field("file", b"--c--", "Content-Type: multipart/mixed; boundary=c")),
        415,
        "unsupported_media_type",
        "file",
    ),
    "a text in UTF-16": Malformed(
        form(field("prompt", b"x", "Content-Type: text/plain; charset=utf-16")), 415, "unsupported_media_type", "prompt"
    ),
    "a type that cannot be read": Malformed(form(field("file", b"x", "Content-Type: a\x0bb")), param="file"),
    "a text that is not UTF-8": Malformed(form(field("prompt", b"\xff")), param="prompt"),
    "a text with a NUL": Malformed(form(field("prompt", b"a\x00b")), param="prompt"),
    "a name twice": Malformed(form(FILE, MODEL, MODEL), code="invalid_type", param="model"),
    "a file as a text": Malformed(form(field("file"), MODEL), code="invalid_type", param="file"),
    "a text as a file": Malformed(
        form(FILE, field("model", b"x", also='; filename="a"')), code="invalid_type", param="model"
    ),
    "a field that an upstream would obey": Malformed(
        form(FILE, MODEL, field("api_base")), code="unknown_parameter", param="api_base"
    ),
    "a browser's field without a file": Malformed(
        form(field("file", b"", "Content-Type: application/octet-stream", also='; filename=""'), MODEL),
        code="missing_required_parameter",
        param="file",
    ),
}
