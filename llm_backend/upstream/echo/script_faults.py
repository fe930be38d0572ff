"""Faults of headers and encodings around a right answer."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from llm_backend.upstream.echo.directives import Fault
from llm_backend.upstream.echo.script import Script, Send, Step

_FOREIGN: Final[Mapping[str, str]] = {
    "set-cookie": "session=echo; Path=/",
    "server": "echo/1",
    "via": "1.1 echo",
    "x-powered-by": "echo",
    "location": "http://169.254.169.254/",
    "access-control-allow-origin": "*",
    "strict-transport-security": "max-age=1",
    "keep-alive": "timeout=1",
    "proxy-authenticate": "Basic",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "openai-organization": "org-echo",
}


def _foreign(script: Script, _fault: Fault) -> Script:
    return replace(script, headers={**script.headers, **_FOREIGN})


def _gzip(script: Script, _fault: Fault) -> Script:
    headers = {name: value for name, value in script.headers.items() if name != "content-length"}
    return replace(script, headers=headers | {"content-encoding": "gzip"}, steps=_zipped(script.steps))


def _zipped(steps: Iterable[Step]) -> Iterator[Step]:
    packer = zlib.compressobj(wbits=31)
    for step in steps:
        if isinstance(step, Send):
            yield replace(step, data=packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield step
    yield Send(packer.flush())


def _no_type(script: Script, _fault: Fault) -> Script:
    return replace(script, headers={name: value for name, value in script.headers.items() if name != "content-type"})


FAULTS: Final[Mapping[str, Callable[[Script, Fault], Script]]] = {
    "foreign-headers": _foreign,
    "gzip": _gzip,
    "no-content-type": _no_type,
}
