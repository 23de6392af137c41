"""The first bytes and the end of an image show its format, and whether it is complete."""

import pytest

from tweetprofile.decoders.formats import is_cut, why_unidentified
from tweetprofile.errors import Reason


@pytest.mark.parametrize(
    ("kind", "cut"),
    [
        ("jpeg", True),
        ("png", True),
        ("webp", True),
        ("gif", False),  # records no length, and its end marker may occur anywhere
        ("bmp", False),
    ],
)
def test_a_cut_image_is_detected_if_its_format_allows(
    good_images: dict[str, bytes], kind: str, cut: bool
) -> None:
    image = good_images[kind]
    assert is_cut(image[: len(image) // 2]) is cut
    assert not is_cut(image)
    assert not is_cut(image + bytes(10_000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>", Reason.NOT_AN_IMAGE),
        (bytes(500), Reason.NOT_AN_IMAGE),
        (b"", Reason.NOT_AN_IMAGE),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", Reason.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n", Reason.TRUNCATED),
        (b"RIFF\x40\x00\x00\x00WEBPVP8 ", Reason.TRUNCATED),
        (b"GIF89a", Reason.CORRUPT),
        (b"BM" + bytes(50), Reason.CORRUPT),
        (b"\xff\xd8\xff" + bytes(50) + b"\xff\xd9", Reason.CORRUPT),
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), Reason.UNSUPPORTED_FORMAT),
        (b"\xff\x0a" + bytes(50), Reason.UNSUPPORTED_FORMAT),
        (b"v/1\x01" + bytes(50), Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_the_first_bytes_show_why_no_decoder_reads_an_image(data: bytes, reason: Reason) -> None:
    assert why_unidentified(data) is reason
