"""Draw what people post as PNG: screenshots of text, some with a picture inside.

The sizes are those of screenshots as they are posted, with no side above 1,200 pixels, which is
what Twitter serves by default. 1170 and 828 pixels are the widths of widespread phones, whose
screenshots are cropped to what matters; 1200 x 675 is a computer's screen of 16:9. Flat areas,
sharp text and a photograph inside differ in what decoding a PNG costs, so each screenshot has all
three. Half of them are white on dark.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

SIZES = ((1170, 900), (828, 1200), (1200, 675))
"""Width and height in pixels."""

_LETTERS = "aaabcdeeeefghiilmnoooprsttuuy"


@dataclass(frozen=True, slots=True)
class _Colours:
    page: str
    bar: str
    text: str
    faint: str


_LIGHT = _Colours("#ffffff", "#f4f4f6", "#14171a", "#6b7780")
_DARK = _Colours("#15202b", "#0d151d", "#f5f8fa", "#8899a6")


def draw_screenshots(
    pictures: Sequence[Image.Image],
    count: int,
    sizes: Sequence[tuple[int, int]] = SIZES,
    seed: int = 0,
) -> list[Image.Image]:
    """Return screenshots, light and dark by turns, each with one of the pictures inside."""
    chance = random.Random(seed)
    return [
        _Screen(sizes[number % len(sizes)], (_LIGHT, _DARK)[number % 2], chance).draw(
            pictures[number % len(pictures)]
        )
        for number in range(count)
    ]


class _Screen:
    """One screenshot: a status bar, then posts of text from top to bottom.

    Args:
        size: Width and height in pixels.
        colours: The colours of the application.
        chance: The source of the words.
    """

    def __init__(self, size: tuple[int, int], colours: _Colours, chance: random.Random) -> None:
        self._width, self._height = size
        self._unit = max(2, self._width // 60)  # half the height of a line
        self._colours = colours
        self._chance = chance
        self._image = Image.new("RGB", size, colours.page)
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(size=1.4 * self._unit)

    def draw(self, picture: Image.Image) -> Image.Image:
        """Draw everything; the picture belongs to the first post."""
        top = self._draw_status_bar()
        top = self._draw_post(top)
        top = self._draw_picture(top, picture)
        while top < self._height:
            top = self._draw_post(top)
        return self._image

    def _draw_status_bar(self) -> int:
        unit, colours = self._unit, self._colours
        self._draw.rectangle((0, 0, self._width, 3 * unit), colours.bar)
        time = f"{self._chance.randrange(24)}:{self._chance.randrange(60):02}"
        self._draw.text((2 * unit, unit), time, colours.text, self._font)
        right = self._width - 2 * unit
        self._draw.rounded_rectangle((right - 3 * unit, unit, right, 2 * unit), 3, colours.faint)
        return 4 * unit

    def _draw_post(self, top: int) -> int:
        """Draw an avatar, a name and some lines; return where the next thing begins."""
        unit, colours = self._unit, self._colours
        avatar = (2 * unit, top, 6 * unit, top + 4 * unit)
        self._draw.ellipse(avatar, f"hsl({self._chance.randrange(360)}, 60%, 50%)")
        self._draw.text((8 * unit, top), self._words(2).title(), colours.faint, self._font)
        lines = self._chance.randint(2, 5)
        for line in range(1, lines + 1):
            place = 8 * unit, top + 2 * unit * line
            self._draw.text(place, self._words(9), colours.text, self._font)
        bottom = top + 2 * unit * (lines + 2)
        self._draw.line((0, bottom - unit, self._width, bottom - unit), colours.bar, 2)
        return bottom

    def _draw_picture(self, top: int, picture: Image.Image) -> int:
        size = self._width // 2, self._height // 3
        self._image.paste(picture.resize(size, Image.Resampling.BICUBIC), (8 * self._unit, top))
        return top + size[1] + 2 * self._unit

    def _words(self, count: int) -> str:
        lengths = [self._chance.randint(2, 9) for _ in range(count)]
        return " ".join("".join(self._chance.choices(_LETTERS, k=length)) for length in lengths)
