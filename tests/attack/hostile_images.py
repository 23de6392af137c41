"""Images made to stall or crash a run: each kind demands excessive time, work or memory.

A kind is a function from a share of the full attack (1.0) to the encoded image. Small shares are
enough for fast tests, because the checks recognise a kind long before its end.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

MILLION = 1_000_000
SIDE = 6300  # 39.7 megapixels: within the default `max_pixels`

Maker = Callable[[float], bytes]


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the image as Pillow writes it to a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(side: int, channels: int = 3) -> Image.Image:
    """Return noise, which compresses worst."""
    random = np.random.default_rng(0)
    return Image.fromarray(random.integers(0, 256, (side, side, channels), np.uint8))


def small() -> Image.Image:
    """Return an image that costs nothing."""
    return Image.new("RGB", (8, 8), "teal")


def _blank(share: float) -> Image.Image:
    """Return a blank image of 40 megapixels times the square root of the share."""
    return Image.new("RGB", (int(SIDE * share**0.25),) * 2)


# -- JPEG -------------------------------------------------------------------------------------


def jpeg_of_scans(share: float) -> bytes:
    """A megabyte: 40 megapixels that 80,000 empty scans visit, before anything else is known."""
    jpeg = encode(_blank(share), "JPEG", progressive=True)
    scan = bytes.fromhex("ffda 0008 01 01 00 01 3f 00")
    first = jpeg.index(b"\xff\xda")
    return jpeg[:first] + scan * int(80_000 * share) + jpeg[first:]


def jpeg_of_late_scans(share: float) -> bytes:
    """The same after all that a frame can show."""
    jpeg = encode(_blank(share), "JPEG", progressive=True)
    scan = bytes.fromhex("ffda 0008 01 01 00 01 3f 00")
    return jpeg[:-2] + scan * int(80_000 * share) + jpeg[-2:]


def jpeg_of_single_components(share: float) -> bytes:
    """A sequential JPEG may have several scans, too, if its first scan holds one component."""
    jpeg = encode(_blank(share), "JPEG")
    scan = bytes.fromhex("ffda 0008 01 01 00 00 3f 00")
    head = jpeg[: jpeg.index(b"\xff\xda")]
    return head + scan * int(80_000 * share) + b"\xff\xd9"


def tiny_jpeg_of_scans(share: float) -> bytes:
    """64 pixels that six million scans visit."""
    jpeg = encode(small(), "JPEG", progressive=True)
    scan = bytes.fromhex("ffda 0008 01 01 00 01 3f 00")
    return jpeg[:-2] + scan * int(6 * MILLION * share) + jpeg[-2:]


def _jpeg_with(header: bytes) -> bytes:
    jpeg = encode(small(), "JPEG")
    return jpeg[:20] + header + jpeg[20:]  # after the first segment


def jpeg_of_padding(share: float) -> bytes:
    """60 MB of fill bytes between two segments."""
    return _jpeg_with(b"\xff" * int(60 * MILLION * share))


def jpeg_of_rubbish(share: float) -> bytes:
    """60 MB of zeros between two segments."""
    return _jpeg_with(bytes(int(60 * MILLION * share)))


def jpeg_of_segments(share: float) -> bytes:
    """Four million empty application segments."""
    return _jpeg_with(b"\xff\xef\x00\x02" * int(4 * MILLION * share))


def jpeg_of_comments(share: float) -> bytes:
    """Four million empty comments."""
    return _jpeg_with(b"\xff\xfe\x00\x02" * int(4 * MILLION * share))


def jpeg_of_markers(share: float) -> bytes:
    """30 million markers without a segment."""
    return _jpeg_with(b"\xff\xd0" * int(30 * MILLION * share))


def jpeg_of_exif(share: float) -> bytes:
    """60 MB of EXIF in segments, each of which is appended to the earlier ones."""
    segment = b"\xff\xe1\xff\xffExif\0\0" + bytes(0xFFFF - 8)
    return _jpeg_with(segment * int(920 * share))


def jpeg_of_tags(share: float) -> bytes:
    """EXIF whose 5,400 tags all refer to the same 64 kB."""
    tags = b"".join(struct.pack("<HHII", 40_000 + tag, 7, 65_000, 8) for tag in range(5400))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5400) + tags
    return _jpeg_with(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)


# -- PNG --------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG with these chunks after its header."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND")


def _pixels(size: int) -> bytes:
    """Return a chunk of `size` zeros."""
    squeeze = zlib.compressobj(1)
    block = bytes(1 << 20)
    parts = [squeeze.compress(block) for _ in range(size >> 20)]
    parts += [squeeze.compress(bytes(size % (1 << 20))), squeeze.flush()]
    return chunk(b"IDAT", b"".join(parts))


def png_of_chunks(share: float) -> bytes:
    """Five million empty chunks of an unknown type."""
    return png(8, 8, chunk(b"teSt") * int(5 * MILLION * share) + _pixels(8 * 25))


def png_of_empty_pixels(share: float) -> bytes:
    """Five million chunks without pixels before one with pixels."""
    return png(8, 8, chunk(b"IDAT") * int(5 * MILLION * share) + _pixels(8 * 25))


def thin_png(share: float) -> bytes:
    """A strip of 1 x 40 million pixels, 16 bits and four channels each."""
    rows = int(40 * MILLION * share)
    return png(1, rows, _pixels(rows * 9), 16, 6)


def flat_png(share: float) -> bytes:
    """A strip of 40 million x 1 pixels, 16 bits and four channels each."""
    columns = int(40 * MILLION * share)
    return png(columns, 1, _pixels(1 + columns * 8), 16, 6)


def longest_png(share: float) -> bytes:
    """The longest strip that is decoded."""
    rows = int(65_535 * share)
    return png(610, rows, _pixels(rows * (1 + 610 * 8)), 16, 6)


def png_of_text(share: float) -> bytes:
    """A gigabyte of text in each of five chunks."""
    text = zlib.compress(bytes(int(1000 * MILLION * share)), 1)
    bomb = chunk(b"zTXt", b"a\0\0" + text) + chunk(b"iTXt", b"a\0\1\0\0\0" + text)
    return png(8, 8, bomb * 5 + _pixels(8 * 25))


def png_of_profile(share: float) -> bytes:
    """A colour profile of a gigabyte."""
    profile = zlib.compress(bytes(int(1000 * MILLION * share)), 1)
    return png(8, 8, chunk(b"iCCP", b"a\0\0" + profile) + _pixels(8 * 25))


def png_of_more_pixels(share: float) -> bytes:
    """Four gigabytes of pixel data for 64 pixels."""
    return png(8, 8, _pixels(int(4000 * MILLION * share)))


def png_of_exif(share: float) -> bytes:
    """60 MB of EXIF whose orientation is a list of 15 million numbers."""
    size = int(60 * MILLION * share)
    tag = struct.pack("<HHHII", 1, 0x0112, 4, size // 4 - 10, 8)
    exif = b"II*\0\x08\0\0\0" + tag + bytes(size)
    return png(8, 8, chunk(b"eXIf", exif) + _pixels(8 * 25))


# -- Other formats ----------------------------------------------------------------------------


def gif_of_comments(share: float) -> bytes:
    """20 million comments of one byte."""
    gif = encode(small(), "GIF")
    start = gif.index(b"!") if b"!" in gif[:800] else gif.index(b",")
    return gif[:start] + b"!\xfe\x01a\x00" * int(12 * MILLION * share) + gif[start:]


def gif_of_blocks(share: float) -> bytes:
    """One comment in 30 million blocks."""
    gif = encode(small(), "GIF")
    start = gif.index(b"!") if b"!" in gif[:800] else gif.index(b",")
    blocks = b"\x01a" * int(30 * MILLION * share)
    return gif[:start] + b"!\xfe" + blocks + b"\0" + gif[start:]


def animated(kind: str) -> Maker:
    """An animation of a thousand frames."""

    def make(share: float) -> bytes:
        frames = [noise(2).resize((64, 64)).rotate(angle) for angle in range(0, 360, 30)]
        frames *= max(1, int(80 * share))
        return encode(frames[0], kind, save_all=True, append_images=frames[1:])

    return make


def _tiff(tags: list[tuple[int, int, int, int]], body: bytes) -> bytes:
    """Return a TIFF with entries of tag, type, count and value, whose body starts at 4096."""
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    entries = b"".join(struct.pack("<HHII", *entry) for entry in sorted(tags))
    return (head + entries + bytes(4)).ljust(4096, b"\0") + body


def _grey(width: int, height: int) -> list[tuple[int, int, int, int]]:
    sides = [(256, 4, 1, width), (257, 4, 1, height)]
    return [*sides, (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]


def tiff_of_strips(share: float) -> bytes:
    """Seven million strips of one row."""
    strips = int(7 * MILLION * share)
    strip_tags = [(273, 4, strips, 4096), (278, 4, 1, 1), (279, 4, strips, 4096)]
    return _tiff(_grey(8, 8) + strip_tags, bytes(4 * strips))


def tiff_of_values(share: float) -> bytes:
    """A pixel depth of 14 million numbers."""
    values = int(14 * MILLION * share)
    tags = [tag for tag in _grey(8, 8) if tag[0] != 258]
    value_tags = [(273, 4, 1, 4096), (258, 3, 2 * values, 4096), (279, 4, 1, 64)]
    return _tiff(tags + value_tags, bytes(4 * values))


def tiff_of_huge_tiles(share: float) -> bytes:
    """64 pixels in a tile of four gigapixels."""
    side = int(65_520 * share) // 16 * 16
    tags = [tag for tag in _grey(8, 8) if tag[0] != 259]
    tiles = [(259, 3, 1, 8), (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 4096)]
    body = zlib.compress(bytes(MILLION), 1)
    return _tiff([*tags, *tiles, (325, 4, 1, len(body))], body)


def ico_of_large_png(share: float) -> bytes:
    """An icon that claims 16 x 16 pixels and contains 60 megapixels."""
    inside = encode(Image.new("1", (int(7800 * share),) * 2), "PNG")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inside), 22)
    return b"\0\0\1\0\1\0" + entry + inside


def icns_of_blocks(share: float) -> bytes:
    """Seven million empty blocks."""
    blocks = b"TOC \0\0\0\x08" * int(7 * MILLION * share)
    return b"icns" + struct.pack(">I", 8 + len(blocks)) + blocks


def psd_of_rows(share: float) -> bytes:
    """30 million rows of no pixels."""
    rows = int(30 * MILLION * share)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 1, rows, 1, 8, 1)
    return head + bytes(12) + b"\0\1" + bytes(2 * rows)


def psd_of_resources(share: float) -> bytes:
    """Five million empty resources."""
    resources = (b"8BIM" + bytes(8)) * int(5 * MILLION * share)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 1, 8, 8, 8, 1)
    return head + bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4 + 2 + 64)


def plain_ppm(share: float) -> bytes:
    """10 megapixels written as digits."""
    side = int(3200 * share**0.5)
    return b"P3\n%d %d\n255\n" % (side, side) + b"7 " * (3 * side * side)


def odd_ppm(share: float) -> bytes:
    """16 megapixels, each of which is scaled by itself."""
    side = int(4000 * share**0.5)
    return b"P6\n%d %d\n100\n" % (side, side) + bytes(3 * side * side)


def qoi(share: float) -> bytes:
    """39 megapixels in a format that Pillow decodes in Python."""
    side = int(SIDE * share**0.5)
    head = b"qoif" + struct.pack(">IIBB", side, side, 3, 0)
    return head + b"\xc0" * (side * side) + bytes(7) + b"\1"


def bmp_in_runs(share: float) -> bytes:
    """30 megapixels in runs of one."""
    side = int(5400 * share**0.5)
    body = b"\1\5" * (side * side) + b"\0\1"
    start = 54 + 1024
    head = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    size = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    return head + size + bytes(1024) + body


def nested_iptc(share: float) -> bytes:
    """An IPTC record that contains an image that starts Ghostscript."""
    inside = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    fields = [(3, 60, b"\1\0"), (3, 20, b"\0\x08"), (3, 30, b"\0\x08"), (3, 65, b"\1")]
    fields += [(3, 120, b"\1"), (8, 10, inside)]
    return b"".join(
        b"\x1c" + bytes([record, number]) + struct.pack(">H", len(data)) + data
        for record, number, data in fields
    )


def slow_jpeg_2000(share: float) -> bytes:
    """Noise, of which each bit passes an arithmetic decoder: 0.5 s per megapixel."""
    return encode(noise(int(4400 * share**0.5)), "JPEG2000")


def large(kind: str, **options: Any) -> Maker:
    """40 megapixels of one colour, with a transparency channel if the format has one."""

    def make(share: float) -> bytes:
        mode = "RGB" if kind in ("GIF", "JPEG") else "RGBA"
        return encode(Image.new(mode, (int(SIDE * share**0.5),) * 2, "teal"), kind, **options)

    return make


TOO_SLOW, TOO_LARGE, USED = "too_slow", "too_large", None
NOT_AN_IMAGE = "not_an_image"

KINDS: dict[str, tuple[Maker, str | None, float]] = {
    "jpeg of scans": (jpeg_of_scans, TOO_SLOW, 0.01),
    "jpeg of late scans": (jpeg_of_late_scans, USED, 0.01),
    "jpeg of single components": (jpeg_of_single_components, TOO_SLOW, 0.01),
    "tiny jpeg of scans": (tiny_jpeg_of_scans, TOO_SLOW, 0.1),
    "jpeg of padding": (jpeg_of_padding, TOO_SLOW, 0.1),
    "jpeg of rubbish": (jpeg_of_rubbish, TOO_SLOW, 0.1),
    "jpeg of segments": (jpeg_of_segments, TOO_SLOW, 0.1),
    "jpeg of comments": (jpeg_of_comments, TOO_SLOW, 0.1),
    "jpeg of markers": (jpeg_of_markers, TOO_SLOW, 0.1),
    "jpeg of exif": (jpeg_of_exif, TOO_SLOW, 0.1),
    "jpeg of tags": (jpeg_of_tags, USED, 1.0),
    "png of chunks": (png_of_chunks, TOO_SLOW, 0.05),
    "png of empty pixels": (png_of_empty_pixels, TOO_SLOW, 0.05),
    "thin png": (thin_png, TOO_LARGE, 0.01),
    "flat png": (flat_png, TOO_LARGE, 0.01),
    "longest png": (longest_png, USED, 0.3),
    "png of text": (png_of_text, USED, 0.01),
    "png of a profile": (png_of_profile, USED, 0.01),
    "png of more pixels": (png_of_more_pixels, USED, 0.01),
    "png of exif": (png_of_exif, USED, 0.1),
    "gif of comments": (gif_of_comments, TOO_SLOW, 0.1),
    "gif of blocks": (gif_of_blocks, TOO_SLOW, 0.1),
    "animated gif": (animated("GIF"), USED, 0.1),
    "animated webp": (animated("WEBP"), USED, 0.1),
    "tiff of strips": (tiff_of_strips, TOO_SLOW, 0.1),
    "tiff of values": (tiff_of_values, TOO_SLOW, 0.1),
    "tiff of huge tiles": (tiff_of_huge_tiles, TOO_LARGE, 1.0),
    "ico of a large png": (ico_of_large_png, TOO_LARGE, 1.0),
    "icns of blocks": (icns_of_blocks, TOO_SLOW, 0.1),
    "psd of rows": (psd_of_rows, TOO_LARGE, 0.1),
    "psd of resources": (psd_of_resources, TOO_SLOW, 0.1),
    "plain ppm": (plain_ppm, TOO_SLOW, 0.5),
    "odd ppm": (odd_ppm, TOO_SLOW, 0.3),
    "qoi": (qoi, TOO_SLOW, 0.2),
    "bmp in runs": (bmp_in_runs, TOO_SLOW, 0.2),
    "nested iptc": (nested_iptc, NOT_AN_IMAGE, 1.0),
    "large webp": (large("WEBP", lossless=True, method=0), USED, 0.1),
    "large png": (large("PNG"), USED, 0.1),
    "large gif": (large("GIF"), USED, 0.1),
    "large jpeg": (large("JPEG", progressive=True), USED, 0.1),
    "large jpeg 2000": (large("JPEG2000"), USED, 0.1),
    "large tiff": (large("TIFF", compression="tiff_lzw"), USED, 0.1),
    "large avif": (large("AVIF", speed=10), USED, 0.02),
}
"""For each kind its maker, its outcome (a reason, or `USED`), and the share that shows the outcome
in little time."""
