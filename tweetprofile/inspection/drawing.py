"""Tiles in, a contact sheet out: a picture for people."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tweetprofile.inspection.sheet_layout import CellKind, SheetCell
from tweetprofile.untrusted.text import escape, printable, shorten

# All lengths are in pixels.
_TILE = 224
"""Side that frames are enlarged to, by whole numbers, so that every pixel stays visible."""

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
"""A blank's: the mean that is taken from every pixel."""

_MOST_FAILED = 12
"""Tiles of unusable images; of more, the number is said."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn.

    Attributes:
        title: the user's id.
        subtitle: what their images came to.
        frame_size: (H, W) of a frame, in pixels.
        tiles: in order; failed ones last.
        seen_by: who sees them, to stand behind "as".
    """

    title: str
    subtitle: str
    frame_size: tuple[int, int]
    tiles: tuple[SheetCell, ...]
    seen_by: str = "the network sees them"


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Draw a contact sheet, in RGB."""
    return _Drawing(sheet).draw()


class _Drawing:
    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        height, width = sheet.frame_size
        scale = max(1, round(_TILE / max(height, width)))
        self._tile = width * scale, height * scale
        self._step = max(self._tile[0], _TILE) + _GAP, self._tile[1] + _CAPTION + _GAP
        self._volume = [tile for tile in sheet.tiles if tile.kind is not CellKind.FAILED]
        self._failed = [tile for tile in sheet.tiles if tile.kind is CellKind.FAILED]
        self._columns = max(_COLUMNS, round((len(self._volume) * 4 / 3) ** 0.5))

    def draw(self) -> Image.Image:
        width = 2 * _MARGIN + self._columns * self._step[0] - _GAP
        shown = self._failed[:_MOST_FAILED]
        height = 2 * _MARGIN + 72 + sum(map(self._height, (self._volume, shown))) - _GAP
        height += _HEADING if not self._volume else 0
        self._image = Image.new("RGB", (width, height), _PAPER)
        self._pen = ImageDraw.Draw(self._image)
        room = width - 2 * _MARGIN
        self._write((_MARGIN, _MARGIN - 6), self._sheet.title or "(no name)", 28, _INK, room)
        self._write((_MARGIN, _MARGIN + 34), self._sheet.subtitle, 16, _FAINT, room)
        top = self._section(_MARGIN + 72, self._volume_heading(), self._volume)
        if not self._volume:
            words = "No frame to see: the network is not asked, and all traits are null."
            self._write((_MARGIN, top), words, 16, _INK, room)
            top += _HEADING
        self._section(top, self._failed_heading(), shown)
        return self._image

    def _height(self, tiles: Sequence[SheetCell]) -> int:
        rows = -(-len(tiles) // self._columns)
        return _HEADING + rows * self._step[1] if tiles else 0

    def _volume_heading(self) -> str:
        height, width = self._sheet.frame_size
        frames = f"{len(self._volume)} frames of {width} x {height}"
        return f"The volume: {frames}, as {self._sheet.seen_by}"

    def _failed_heading(self) -> str:
        more = len(self._failed) - _MOST_FAILED
        return "Tried in vain" + (f": these, and {more:,} more" if more > 0 else "")

    def _section(self, top: int, heading: str, tiles: Sequence[SheetCell]) -> int:
        """Draw a heading and its tiles; where the next one begins."""
        if not tiles:
            return top
        self._pen.line((_MARGIN, top, self._image.width - _MARGIN, top), _LINE)
        self._write((_MARGIN, top + 10), heading, 16, _INK, self._image.width - 2 * _MARGIN)
        for position, tile in enumerate(tiles):
            row, column = divmod(position, self._columns)
            left = _MARGIN + column * self._step[0]
            self._place(tile, (left, top + _HEADING + row * self._step[1]))
        return top + self._height(tiles)

    def _place(self, tile: SheetCell, corner: tuple[int, int]) -> None:
        self._image.paste(self._picture(tile), corner)
        right, bottom = corner[0] + self._tile[0] - 1, corner[1] + self._tile[1] - 1
        edge = {CellKind.REPEATED: _AMBER, CellKind.FAILED: _RED}.get(tile.kind, _LINE)
        self._pen.rectangle((*corner, right, bottom), outline=edge, width=2 if edge != _LINE else 1)
        under, room = bottom + 7, self._step[0] - _GAP
        name = f"{tile.index}  {tile.name}" if tile.index is not None else ""
        self._write((corner[0], under), name, 14, _INK, room)
        note, colour = self._note(tile)
        self._write((corner[0], under + (18 if name else 0)), note, 14, colour, room)

    def _note(self, tile: SheetCell) -> tuple[str, tuple[int, int, int]]:
        match tile.kind:
            case CellKind.REPEATED:
                return "repeated: fills the volume", _AMBER
            case CellKind.BLANK:
                return "blank: fills the volume", _FAINT
            case CellKind.FAILED:
                return "not used", _RED
        return "", _FAINT

    def _picture(self, tile: SheetCell) -> Image.Image:
        if tile.frame_HWC is not None:
            frame = Image.fromarray(np.ascontiguousarray(tile.frame_HWC))
            frame = frame.resize(self._tile, Image.Resampling.NEAREST)
            if tile.kind is CellKind.REPEATED:  # still to be recognised, but not a frame more
                return Image.blend(frame, Image.new("RGB", self._tile, _PAPER), 0.55)
            return frame
        if tile.kind is CellKind.BLANK:
            return Image.new("RGB", self._tile, _GREY)
        return self._picture_of_failure(tile.reason)

    def _picture_of_failure(self, reason: str) -> Image.Image:
        picture = Image.new("RGB", self._tile, _PINK)
        pen, (width, height) = ImageDraw.Draw(picture), self._tile
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
        return picture

    def _write(
        self,
        corner: tuple[int, int],
        text: str,
        size: int,
        colour: tuple[int, int, int],
        room: int,
    ) -> None:
        self._pen.text(corner, _fit(text, size, room), colour, _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fit(text: str, size: int, room: int) -> str:
    """A text that the font can write, its middle left out where it does not fit."""
    legible = "".join(map(_legible, printable(text)))
    fitting, longest = legible, len(legible)
    while longest > 3 and _font(size).getlength(fitting) > room:
        longest -= 1
        fitting = shorten(legible, longest)
    return fitting


@cache
def _legible(char: str) -> str:
    """A character, or what the font has for it: Pillow's own has no accents, and one alphabet."""
    if _has_glyph(char):
        return char
    letters = unicodedata.normalize("NFKD", char)
    return "".join(filter(_has_glyph, letters)) or escape(char)


def _has_glyph(char: str) -> bool:
    """Whether the font has the character: for others it draws a box."""
    return char.isascii() or bytes(_font(16).getmask(char)) != bytes(_font(16).getmask("\uffff"))
