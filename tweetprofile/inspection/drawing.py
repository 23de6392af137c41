"""Draw the cells of a contact sheet as one image."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tweetprofile.inspection.sheet_layout import CellKind, SheetCell
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import escape, printable, shorten

# All lengths are in pixels.
_CELL = 224
"""Side that frames are enlarged to, by a whole number, so that every pixel stays visible."""

_COLUMNS = 4
_MARGIN = 32
_GAP = 20
_CAPTION = 44
_HEADING = 40

_PAPER = (250, 250, 248)
_INK = (28, 28, 30)
_FAINT = (110, 110, 116)
_LINE = (208, 208, 204)
_AMBER = (178, 104, 0)
_RED = (170, 32, 32)
_PINK = (252, 232, 230)
_GREY = (114, 114, 114)
"""The colour of a blank: the mean that is subtracted from every pixel."""

_MAX_FAILED = 12
"""Cells of unusable images; for further ones, the sheet states the number."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The content of a contact sheet.

    Attributes:
        title: The id of the user.
        subtitle: The status of the user and the number of images.
        frame_size: The size of a frame in pixels, (H, W).
        cells: The cells in order, those of failed images last.
        network: The network whose input the sheet shows.
    """

    title: str
    subtitle: str
    frame_size: tuple[int, int]
    cells: tuple[SheetCell, ...]
    network: str = "the network"


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Draw a contact sheet as an RGB image."""
    return _Drawing(sheet).draw()


class _Drawing:
    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        height, width = sheet.frame_size
        scale = max(1, round(_CELL / max(height, width)))
        self._cell = width * scale, height * scale
        self._step = max(self._cell[0], _CELL) + _GAP, self._cell[1] + _CAPTION + _GAP
        self._volume = [cell for cell in sheet.cells if cell.kind is not CellKind.FAILED]
        self._failed = [cell for cell in sheet.cells if cell.kind is CellKind.FAILED]
        self._columns = max(_COLUMNS, round((len(self._volume) * 4 / 3) ** 0.5))

    def draw(self) -> Image.Image:
        width = 2 * _MARGIN + self._columns * self._step[0] - _GAP
        shown = self._failed[:_MAX_FAILED]
        height = 2 * _MARGIN + 72 + sum(map(self._height, (self._volume, shown))) - _GAP
        height += _HEADING if not self._volume else 0
        self._image = Image.new("RGB", (width, height), _PAPER)
        self._pen = ImageDraw.Draw(self._image)
        max_width = width - 2 * _MARGIN
        self._write((_MARGIN, _MARGIN - 6), self._sheet.title or "(no name)", 28, _INK, max_width)
        self._write((_MARGIN, _MARGIN + 34), self._sheet.subtitle, 16, _FAINT, max_width)
        top = self._section(_MARGIN + 72, self._volume_heading(), self._volume)
        if not self._volume:
            words = "No usable image: nothing is predicted, and all traits are null."
            self._write((_MARGIN, top), words, 16, _INK, max_width)
            top += _HEADING
        self._section(top, self._failed_heading(), shown)
        return self._image

    def _height(self, cells: Sequence[SheetCell]) -> int:
        rows = -(-len(cells) // self._columns)
        return _HEADING + rows * self._step[1] if cells else 0

    def _volume_heading(self) -> str:
        height, width = self._sheet.frame_size
        frames = f"{count_of(len(self._volume), 'frame')} of {width} x {height}"
        return f"The volume: {frames}, the input of {self._sheet.network}"

    def _failed_heading(self) -> str:
        more = len(self._failed) - _MAX_FAILED
        return "Unusable images" + (f": these and {more:,} more" if more > 0 else "")

    def _section(self, top: int, heading: str, cells: Sequence[SheetCell]) -> int:
        """Draw a heading and its cells; return where the next section begins."""
        if not cells:
            return top
        self._pen.line((_MARGIN, top, self._image.width - _MARGIN, top), _LINE)
        self._write((_MARGIN, top + 10), heading, 16, _INK, self._image.width - 2 * _MARGIN)
        for position, cell in enumerate(cells):
            row, column = divmod(position, self._columns)
            left = _MARGIN + column * self._step[0]
            self._draw_cell(cell, (left, top + _HEADING + row * self._step[1]))
        return top + self._height(cells)

    def _draw_cell(self, cell: SheetCell, corner: tuple[int, int]) -> None:
        self._image.paste(self._cell_image(cell), corner)
        right, bottom = corner[0] + self._cell[0] - 1, corner[1] + self._cell[1] - 1
        edge = {CellKind.REPEATED: _AMBER, CellKind.FAILED: _RED}.get(cell.kind, _LINE)
        self._pen.rectangle((*corner, right, bottom), outline=edge, width=2 if edge != _LINE else 1)
        under, max_width = bottom + 7, self._step[0] - _GAP
        name = f"{cell.index}  {cell.name}" if cell.index is not None else ""
        self._write((corner[0], under), name, 14, _INK, max_width)
        note, colour = self._note(cell)
        self._write((corner[0], under + (18 if name else 0)), note, 14, colour, max_width)

    def _note(self, cell: SheetCell) -> tuple[str, tuple[int, int, int]]:
        match cell.kind:
            case CellKind.REPEATED:
                return "repeated to fill the volume", _AMBER
            case CellKind.BLANK:
                return "blank to fill the volume", _FAINT
            case CellKind.FAILED:
                return "not used", _RED
        return "", _FAINT

    def _cell_image(self, cell: SheetCell) -> Image.Image:
        if cell.frame_HWC is not None:
            frame = Image.fromarray(np.ascontiguousarray(cell.frame_HWC))
            frame = frame.resize(self._cell, Image.Resampling.NEAREST)
            if cell.kind is CellKind.REPEATED:  # recognisable, but clearly not another image
                return Image.blend(frame, Image.new("RGB", self._cell, _PAPER), 0.55)
            return frame
        if cell.kind is CellKind.BLANK:
            return Image.new("RGB", self._cell, _GREY)
        return self._failure_image(cell.reason)

    def _failure_image(self, reason: str) -> Image.Image:
        image = Image.new("RGB", self._cell, _PINK)
        pen, (width, height) = ImageDraw.Draw(image), self._cell
        centre, arm = (width // 2, height * 2 // 5), min(width, height) // 10
        for slope in (-1, 1):
            pen.line(
                (
                    centre[0] - arm,
                    centre[1] - slope * arm,
                    centre[0] + arm,
                    centre[1] + slope * arm,
                ),
                _RED,
                width=max(2, arm // 4),
            )
        words = _fit(reason.replace("_", " "), 18, width - 16)
        pen.text((centre[0], height * 7 // 10), words, _RED, _font(18), anchor="mm")
        return image

    def _write(
        self,
        corner: tuple[int, int],
        text: str,
        size: int,
        colour: tuple[int, int, int],
        max_width: int,
    ) -> None:
        self._pen.text(corner, _fit(text, size, max_width), colour, _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fit(text: str, size: int, max_width: int) -> str:
    """Return text in characters of the font, shortened in the middle to fit the width."""
    legible = "".join(map(_legible, printable(text)))
    fitting, longest = legible, len(legible)
    while longest > 3 and _font(size).getlength(fitting) > max_width:
        longest -= 1
        fitting = shorten(legible, longest)
    return fitting


@cache
def _legible(char: str) -> str:
    """Return a character, or a replacement that the font has: an unaccented letter or an escape.

    Pillow's own font has no accents and only one alphabet.
    """
    if _has_glyph(char):
        return char
    letters = unicodedata.normalize("NFKD", char)
    return "".join(filter(_has_glyph, letters)) or escape(char)


def _has_glyph(char: str) -> bool:
    """Return whether the font has the character; for others it draws a box."""
    return char.isascii() or bytes(_font(16).getmask(char)) != bytes(_font(16).getmask("\uffff"))
