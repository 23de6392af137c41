"""Regular progressive JPEGs of every script of scans, and the parts that they consist of."""

import io
import re
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.decoders.jpeg_coefficients import Pixels, Subsampling
from tests.decoders.jpeg_scripts import PROGRESSIVE, grey
from tests.decoders.jpeg_writer import JpegOptions, write_jpeg

DATA = 0
"""In place of a marker: the entropy-coded data of a scan, restart markers included."""

FRAME, HUFFMAN, END, SCAN, QUANTISERS = 0xC2, 0xC4, 0xD9, 0xDA, 0xDB

_END_OF_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


class Part(NamedTuple):
    """A segment of a JPEG, or the data of a scan: its marker or `DATA`, and where it is."""

    marker: int
    start: int
    end: int


def parts_of(jpeg: bytes) -> list[Part]:
    """Return the parts of a regular JPEG between its start and its end marker."""
    parts = []
    start = 2
    while jpeg[start + 1] != END:
        marker, (length,) = jpeg[start + 1], struct.unpack_from(">H", jpeg, start + 2)
        parts.append(Part(marker, start, start + 2 + length))
        start = parts[-1].end
        if marker == SCAN:
            found = _END_OF_DATA.search(jpeg, start)
            assert found is not None
            parts.append(Part(DATA, start, found.start()))
            start = found.start()
    return parts


def scans_of(jpeg: bytes) -> list[Part]:
    """Return the scans of a regular JPEG, each with the tables before it and its data."""
    parts = parts_of(jpeg)
    ends = [part.end for part in parts if part.marker == DATA]
    (begin,) = (part.end for part in parts if part.marker == FRAME)
    return [Part(SCAN, start, end) for start, end in zip([begin, *ends], ends, strict=False)]


def originals(width: int = 320, height: int = 240) -> list[bytes]:
    """Return progressive JPEGs by every script, as other encoders write them."""
    samplings: tuple[Subsampling, ...] = "4:2:0", "4:4:4", "4:2:2"
    images = []
    for number, script in enumerate(PROGRESSIVE.values()):
        picture = _picture(width, height, number)
        options = JpegOptions((85, 95, 60)[number % 3], samplings[number // 2 % 3])
        images.append(write_jpeg(picture, script, options))
        with_restarts = JpegOptions(85, "4:2:0", restart_interval=width // 16)
        images.append(write_jpeg(picture, script, with_restarts))
        if number % 3 == 0:
            images.append(write_jpeg(picture[..., 1], grey(script)))
    for number, quality in enumerate((60, 75, 85, 95)):
        file = io.BytesIO()
        Image.fromarray(_picture(width, height, number)).save(
            file, "JPEG", quality=quality, progressive=True
        )
        images.append(file.getvalue())
    return images


def _picture(width: int, height: int, seed: int) -> Pixels:
    """Draw coarse and fine shapes of all contrasts, as in a photograph."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 128.0)
    for side, contrast in ((4, 60), (12, 30), (40, 15), (120, 8)):
        shapes = random.normal(0, contrast, (side, side, 3)).clip(-120, 120) + 128
        small = Image.fromarray(shapes.clip(0, 255).astype(np.uint8))
        pixels += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) - 128.0
    return pixels.clip(0, 255).astype(np.uint8)
