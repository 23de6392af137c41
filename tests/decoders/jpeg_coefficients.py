"""The coefficients of a JPEG: colours, sampling, cosine transform and quantisation, with numpy.

The section and figure numbers are those of the standard, ITU-T T.81.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Values = NDArray[np.int64]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"]

_FACTORS: dict[Subsampling, tuple[int, int]] = {
    "4:4:4": (1, 1),
    "4:2:2": (2, 1),
    "4:2:0": (2, 2),
    "4:4:0": (1, 2),
    "4:1:1": (4, 1),
}
"""Columns and rows of luma samples for each chroma sample."""

# fmt: off
_LUMA_STEPS = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
_CHROMA_STEPS = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32,
)
# fmt: on
"""The quantisation tables of annex K.1 row by row, from which libjpeg scales all others."""

_ZIGZAG = np.array(
    sorted(
        range(64),
        key=lambda place: (
            place // 8 + place % 8,
            place // 8 if (place // 8 + place % 8) % 2 else place % 8,
        ),
    )
)
"""The places of a block in the order in which coefficients are written (figure A.6)."""

_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

_COSINES = np.cos(np.arange(8)[:, None] * (2 * np.arange(8) + 1) * np.pi / 16) / 2
_COSINES[0] /= np.sqrt(2)


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a picture, quantised.

    Attributes:
        columns: Its blocks per row of an MCU.
        rows: Its rows of blocks in an MCU.
        blocks: (rows of blocks, blocks, 64) coefficients in zigzag order, padded to whole MCUs.
        height: The rows of blocks that scans of this component alone have.
        width: The blocks per row that scans of this component alone have.
    """

    columns: int
    rows: int
    blocks: Values
    height: int
    width: int


def quantisation_tables(quality: int) -> list[Values]:
    """Return the tables of luma and colours in zigzag order, scaled as libjpeg scales them."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    standard = np.array([_LUMA_STEPS, _CHROMA_STEPS])[:, _ZIGZAG]
    return list(((standard * percent + 50) // 100).clip(1, 255))


def components_of(
    pixels: Pixels, tables: Sequence[Values], subsampling: Subsampling
) -> list[Component]:
    """Return Y, Cb and Cr of (height, width, 3) RGB, or the one component of a grey picture."""
    height, width = pixels.shape[:2]
    if pixels.ndim == 2:
        return [_component(pixels.astype(np.float64) - 128, tables[0], (height, width), (1, 1))]
    columns, rows = factors = _FACTORS[subsampling]
    padding = ((0, -height % (8 * rows)), (0, -width % (8 * columns)), (0, 0))
    planes = np.rint(np.pad(pixels, padding, mode="edge") @ _YCBCR.T)
    luma = _component(planes[..., 0] - 128, tables[0], (height, width), factors)
    by_sample = planes.reshape(planes.shape[0] // rows, rows, -1, columns, 3)
    small = np.rint(by_sample.mean((1, 3)))
    size = -(-height // rows), -(-width // columns)
    return [luma, *(_component(small[..., i], tables[1], size, (1, 1)) for i in (1, 2))]


def _component(
    plane: NDArray[np.float64], table: Values, size: tuple[int, int], factors: tuple[int, int]
) -> Component:
    plane = np.pad(plane, [(0, -side % 8) for side in plane.shape], mode="edge")
    blocks = plane.reshape(plane.shape[0] // 8, 8, -1, 8).swapaxes(1, 2)
    spectra = (_COSINES @ blocks @ _COSINES.T).reshape(*blocks.shape[:2], 64)
    quantised = np.rint(spectra[..., _ZIGZAG] / table).astype(np.int64).clip(-1023, 1023)
    height, width = (-(-side // 8) for side in size)
    return Component(*factors, quantised, height, width)


def mcus_of(components: Sequence[Component]) -> Values:
    """Return (MCUs, blocks per MCU, 64): the blocks in the order of a scan (A.2)."""
    if len(components) == 1:
        (only,) = components
        return only.blocks[: only.height, : only.width].reshape(-1, 1, 64)
    parts = []
    for each in components:
        down, across, _ = each.blocks.shape
        shape = down // each.rows, each.rows, across // each.columns, each.columns, 64
        by_mcu = each.blocks.reshape(shape).swapaxes(1, 2)
        parts.append(by_mcu.reshape(-1, each.rows * each.columns, 64))
    return np.concatenate(parts, axis=1)
