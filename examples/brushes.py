"""Colours, backgrounds and lettering that all drawings share.

Every colour is chosen at random from the whole colour wheel, whatever is drawn, so that kinds of
pictures differ in their shapes alone.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
Size = tuple[int, int]

# fmt: off
WORDS = [
    "again", "always", "before", "bright", "coffee", "corner", "every", "garden", "going", "happy",
    "hello", "little", "market", "monday", "music", "never", "night", "paper", "people", "quiet",
    "river", "story", "street", "sunday", "today", "window",
]
# fmt: on


def colour(
    rng: np.random.Generator, dark: float = 0.3, bright: float = 0.95, vivid: float = 0.6
) -> Colour:
    """Choose a colour of any hue at random, with a brightness between `dark` and `bright`."""
    hue, saturation = rng.random(), rng.uniform(0.08, vivid)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(dark, bright))
    return int(255 * red), int(255 * green), int(255 * blue)


def luminance(tone: Colour) -> float:
    """Return how light a colour looks, from 0 to 255."""
    return 0.299 * tone[0] + 0.587 * tone[1] + 0.114 * tone[2]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour at the given share of the way from one colour to another."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lighter(tone: Colour, share: float) -> Colour:
    """Move a colour towards white, or towards black if the share is negative."""
    return mix(tone, (255, 255, 255) if share > 0 else (0, 0, 0), abs(share))


def contrast(rng: np.random.Generator, ground: Colour, vivid: float = 0.6) -> Colour:
    """Choose a colour at random that stands out on the given background."""
    if luminance(ground) > 120:
        return colour(rng, 0.02, 0.22, vivid)
    tone = colour(rng, 0.92, 1.0, vivid)
    return lighter(tone, 0.5) if luminance(tone) < luminance(ground) + 110 else tone


def wash(rng: np.random.Generator, size: Size, top: Colour, bottom: Colour) -> Image.Image:
    """Paint a smooth, slightly uneven transition from one colour at the top to another."""
    corners = np.array([[top, top], [bottom, bottom]], dtype=np.int16)
    corners += rng.integers(-14, 15, corners.shape, dtype=np.int16)
    small = Image.fromarray(corners.clip(0, 255).astype(np.uint8))
    return small.resize(size, Image.Resampling.BILINEAR)


def blobs(rng: np.random.Generator, size: Size, cells: int = 5) -> Image.Image:
    """Paint the soft patches of an out-of-focus background."""
    grid = [[colour(rng) for _ in range(cells)] for _ in range(cells)]
    small = Image.fromarray(np.array(grid, dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def ridge(rng: np.random.Generator, width: float, base: float, swing: float) -> list[Point]:
    """Return a smooth random line of hills from the left edge to the right."""
    across = np.linspace(0, 1, 40)
    first, second = rng.uniform(0, 2 * np.pi, 2)
    waves = np.sin(across * rng.uniform(4, 8) + first)
    waves += 0.4 * np.sin(across * rng.uniform(9, 14) + second)
    return [(float(x * width), float(base + swing * y)) for x, y in zip(across, waves, strict=True)]


def disc(draw: ImageDraw.ImageDraw, centre: Point, radius: float, tone: Colour) -> None:
    """Fill a circle."""
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


@lru_cache(maxsize=64)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=height)


def write(
    draw: ImageDraw.ImageDraw, at: Point, text: str, height: float, tone: Colour, outline: int = 0
) -> None:
    """Write a line of text whose upper left corner is at the given point."""
    font = _font(max(8, round(height / 8) * 8))
    draw.text(at, text, fill=tone, font=font, stroke_width=outline, stroke_fill=(0, 0, 0))


def phrase(rng: np.random.Generator, words: int) -> str:
    """Choose a few words at random, which make no sense together."""
    return " ".join(rng.choice(WORDS, words).tolist())
