"""How long a sound is, whatever its header claims."""

from io import BytesIO
from struct import pack, pack_into
from wave import open as open_wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.sounds import HEAD_BYTES, Sound
from llm_backend.errors import Json
from llm_backend.upstream.forms import Part


def a_wave(seconds: int, rate: int = 16_000) -> bytes:
    """16 bits, mono."""
    written = BytesIO()
    with open_wave(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * rate * seconds))
    return written.getvalue()


def heard(data: bytes, name: str = "a.wav") -> Sound:
    return Sound.of(Part("file", data, len(data), name))


def changed(wave: bytes, place: int, form: str, value: int) -> bytes:
    written = bytearray(wave)
    pack_into(form, written, place, value)
    return bytes(written)


def test_the_header_of_a_wave_says_how_long_it_is() -> None:
    assert (heard(a_wave(3)).likely_seconds, heard(a_wave(3)).most_seconds) == (3, 4)


def test_what_stands_before_the_samples_is_passed_over() -> None:
    wave = a_wave(3)
    titled = wave[:36] + b"LIST" + pack("<I", 5) + b"title\0" + wave[36:]
    long = wave[:36] + b"LIST" + pack("<I", HEAD_BYTES) + bytes(HEAD_BYTES) + wave[36:]

    assert heard(titled).likely_seconds == 3
    assert heard(long).likely_seconds == 4


def test_a_header_that_says_less_than_there_is_shortens_the_charge_and_not_the_bound() -> None:
    sound = heard(changed(a_wave(3), 40, "<I", 32_000))

    assert (sound.likely_seconds, sound.most_seconds) == (1, 4)


def test_a_wave_that_was_sent_while_it_was_recorded_is_as_long_as_it_is() -> None:
    assert heard(changed(a_wave(3), 40, "<I", 0xFFFF_FFFF)).likely_seconds == 3


@pytest.mark.parametrize(
    "wave",
    [
        changed(a_wave(3), 28, "<I", 1_000_000),
        changed(a_wave(3), 20, "<H", 0x55),
        changed(a_wave(3), 0, "<I", 0),
        a_wave(3)[:30],
        a_wave(3)[36:],
    ],
)
def test_a_header_that_is_odd_or_of_something_compressed_says_nothing(wave: bytes) -> None:
    sound = Sound(96_044, wave[:HEAD_BYTES], "a.wav")

    assert (sound.likely_seconds, sound.most_seconds) == (13, 97)


def test_a_wave_under_another_name_is_believed_nothing() -> None:
    assert heard(a_wave(3), "a.mp3").most_seconds == 97


@given(st.binary(max_size=80), st.integers(0, 10**8), st.integers(0, 2**32 - 1))
def test_whatever_a_file_holds_its_likely_length_is_within_the_bound(head: bytes, size: int, claimed: int) -> None:
    for beginning in (head, b"RIFF\0\0\0\0WAVE" + head, changed(a_wave(1)[:44], 40, "<I", claimed) + head):
        sound = Sound(len(beginning) + size, beginning, "a.wav")

        assert 0 <= sound.likely_seconds <= sound.most_seconds


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"duration": 2.1}, 3),
        ({"usage": {"type": "duration", "seconds": 1.2}, "duration": 3.4}, 2),
        ({"duration": 1e9}, 4),
        ({"duration": float("inf")}, 4),
        ({"duration": float("nan")}, 3),
        ({"duration": "2.1"}, 3),
        ({"duration": -1}, 3),
        ("a text", 3),
    ],
)
def test_an_answer_that_says_how_long_it_was_is_believed_as_far_as_can_be(answer: Json, seconds: int) -> None:
    assert heard(a_wave(3)).heard_seconds(answer) == seconds
