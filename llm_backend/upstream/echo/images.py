"""Images: squares of one colour, which the prompt decides."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import pictures, words
from llm_backend.upstream.echo.chat_wire import CREATED
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.limits import check_context
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request, choice_of, count_of, text_of
from llm_backend.upstream.echo.script import Refusal

_MOST_IMAGES = 10
_MOST_PARTIAL = 3
_SIDE: Final = 1024
_MOST_SIDE: Final = 4096
_TILE: Final = 32
"""A token is a square of so many pixels a side, in an image that is made."""
_GIVEN_TOKENS: Final = 16
"""Tokens of each image that is given."""
_SIZE: Final = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Images:
    """What is to be made, and how it is told."""

    fields: Mapping[str, Json]
    directives: Directives
    subject: str
    """What decides the colours: the prompt, and whatever else was given."""
    text_tokens: int
    given: int
    """The images that came with the request."""
    number: int
    width: int
    height: int
    in_urls: bool
    partial: int
    """The images that come before the right one in a stream."""

    @property
    def counts_tokens(self) -> bool:
        """Models named after DALL-E cost by the image, and say nothing of tokens."""
        return "dall-e" not in str(self.fields["model"])

    @property
    def output_tokens(self) -> int:
        return self.number * -(-self.width // _TILE) * -(-self.height // _TILE)

    @property
    def usage(self) -> Json:
        given = self.directives.tokens
        images = self.given * _GIVEN_TOKENS
        taken = given.get("prompt", self.text_tokens + images)
        made = given.get("completion", self.output_tokens)
        return {
            "input_tokens": taken,
            "output_tokens": made,
            "total_tokens": taken + made,
            "input_tokens_details": {"image_tokens": min(images, taken), "text_tokens": max(taken - images, 0)},
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        }

    def whole(self) -> Event:
        payload: dict[str, Json] = {"created": CREATED, "data": [self._image(index) for index in range(self.number)]}
        if not self.counts_tokens:
            return Event(payload, is_part=True)
        told = {"background": "opaque", "output_format": "png", "quality": "low", "size": self._size}
        return Event(payload | told | {"usage": self.usage}, self.output_tokens)

    def events(self, kind: str) -> Iterator[Event]:
        """Lighter pictures first, where some were asked for, then the right one with its usage."""
        told = {"created_at": CREATED, "background": "opaque", "output_format": "png", "quality": "low"}
        told |= {"size": self._size}
        for index in range(self.partial):
            name = f"{kind}.partial_image"
            picture = _base64(self._png(0, 1 - (index + 1) / (self.partial + 1)))
            payload = {"type": name, "b64_json": picture, "partial_image_index": index}
            yield Event(payload | told, name=name, is_part=True)
        name = f"{kind}.completed"
        payload = {"type": name, "b64_json": _base64(self._png(0)), "usage": self.usage}
        yield Event(payload | told, self.output_tokens, name)

    @property
    def _size(self) -> str:
        return f"{self.width}x{self.height}"

    def _image(self, index: int) -> Json:
        picture = _base64(self._png(index))
        return {"url": f"data:image/png;base64,{picture}"} if self.in_urls else {"b64_json": picture}

    def _png(self, index: int, share: float = 0) -> bytes:
        rgb = pictures.colour(f"{self.subject}{index or ''}")
        return pictures.png(self.width, self.height, pictures.lighter(rgb, share))


def generate(request: Request) -> Prepared:
    """Images to a prompt. Raises Refusal where the request is broken."""
    return _prepared(request, _prompt(request), (), "image_generation")


def edit(request: Request) -> Prepared:
    """Images to a prompt and others, which come as files, or named in JSON. Raises Refusal."""
    prompt = _prompt(request)
    named = request.fields.get("images")
    given = _told(request, "image") if not isinstance(named, list) else [str(image) for image in named]
    if not given:
        raise Refusal("Missing required parameter: 'image'.", param="image", code="missing_required_parameter")
    return _prepared(request, prompt, given, "image_edit")


def vary(request: Request) -> Prepared:
    """Images to another one, without a prompt. Raises Refusal where there is none."""
    request.file("image")
    return _prepared(request, "", _told(request, "image"), None)


def _prompt(request: Request) -> str:
    prompt = text_of(request.fields, "prompt")
    check_context(len(prompt), 1, "prompt")
    return prompt


def _told(request: Request, name: str) -> Sequence[str]:
    """For each file what tells it from another."""
    return [f"{part.size} {part.beginning(_SIDE).hex()}" for part in request.files.get(name, ())]


def _prepared(request: Request, prompt: str, given: Sequence[str], kind: str | None) -> Prepared:
    """`kind`: the beginning of its events' names; None where it does not stream."""
    images = _images(request.fields, prompt, given)
    if images.directives.refuses:
        raise Refusal("Your request was rejected by the safety system.", code="moderation_blocked")
    streams = request.streams and kind is not None
    if streams and (images.number > 1 or not images.counts_tokens):
        raise Refusal("A stream carries one image, of a model that counts tokens.", param="stream")
    return Prepared(
        images.whole,
        images.directives,
        images.usage["input_tokens"],
        (lambda: images.events(str(kind))) if kind else None,
        streams=streams,
        ends_in_done=False,
    )


def _images(fields: Mapping[str, Json], prompt: str, given: Sequence[str]) -> Images:
    choice_of(fields, "output_format", ("png",))
    text = asked.plain(prompt)
    width, height = _sides(fields.get("size"))
    is_plain = "dall-e" in str(fields["model"])
    formats = ("url", "b64_json") if is_plain else ("b64_json", "url")
    return Images(
        fields=fields,
        directives=asked.read(prompt),
        subject=" ".join((text, *given)),
        text_tokens=words.count(text),
        given=len(given),
        number=count_of(fields, "n", 1, _MOST_IMAGES),
        width=width,
        height=height,
        in_urls=choice_of(fields, "response_format", formats) == "url",
        partial=count_of(fields, "partial_images", 0, _MOST_PARTIAL),
    )


def _sides(size: Json) -> tuple[int, int]:
    """Width and height in pixels."""
    if size is None or size == "auto":
        return _SIDE, _SIDE
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    sides = (int(found[1]), int(found[2])) if found else (_MOST_SIDE + 1, 1)
    if max(sides) > _MOST_SIDE:
        message = f"'size' is auto, or two numbers of at most {_MOST_SIDE} as in 1024x1024."
        raise Refusal(message, param="size", code="invalid_value")
    return sides


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
