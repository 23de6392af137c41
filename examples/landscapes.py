"""Draw landscapes: one kind for each of the six locations.

Which landscape goes with which location is arbitrary, and describes no real place.
"""

from __future__ import annotations

import numpy as np
from brushes import (
    Colour,
    Point,
    Size,
    colour,
    contrast,
    disc,
    lighter,
    luminance,
    mix,
    ridge,
    wash,
)
from PIL import Image, ImageDraw


def sky(rng: np.random.Generator, size: Size) -> tuple[Image.Image, Colour]:
    """Paint a sky, often with a sun or a moon; return it and its colour at the horizon."""
    top, low = colour(rng, 0.25, 1.0), colour(rng, 0.4, 1.0)
    low = mix(top, low, 0.6)
    image = wash(rng, size, top, low)
    if rng.random() < 0.6:
        centre = (rng.uniform(0.1, 0.9) * size[0], rng.uniform(0.08, 0.25) * size[1])
        disc(ImageDraw.Draw(image), centre, rng.uniform(0.04, 0.09) * min(size), lighter(low, 0.6))
    return image, low


def _cactus(draw: ImageDraw.ImageDraw, foot: Point, tall: float, tone: Colour) -> None:
    x, y = foot
    thick = tall * 0.17
    draw.rounded_rectangle((x - thick / 2, y - tall, x + thick / 2, y), thick / 2, fill=tone)
    for side, low, reach in ((-1, 0.4, 0.78), (1, 0.5, 0.9)):
        arm, limb = x + side * tall * 0.3, thick * 0.75
        left, right = sorted((x, arm + side * limb / 2))
        draw.rounded_rectangle(
            (left, y - tall * low - limb, right, y - tall * low), limb / 2, fill=tone
        )
        draw.rounded_rectangle(
            (arm - limb / 2, y - tall * reach, arm + limb / 2, y - tall * low), limb / 2, fill=tone
        )


def dunes(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw desert dunes with a few tall cacti."""
    width, height = size
    image, _ = sky(rng, size)
    draw = ImageDraw.Draw(image)
    sand = colour(rng, 0.45, 0.95)
    for layer in range(3):
        base = height * (0.5 + 0.16 * layer + rng.uniform(-0.03, 0.03))
        crest = ridge(rng, width, base, height * 0.06)
        tone = lighter(sand, -0.12 * layer)
        draw.polygon([*crest, (width, height), (0, height)], fill=tone)
        slip = [(x, y + max(0.0, base + 0.03 * height - y) * 1.6) for x, y in crest]
        draw.polygon([*crest, *reversed(slip)], fill=lighter(tone, -0.35))
        for ripple in (0.05, 0.08, 0.11):
            line = [(x, y + ripple * height) for x, y in crest]
            draw.line(line, fill=lighter(tone, -0.5), width=max(2, height // 110))
    green = contrast(rng, sand)
    for slot in rng.permutation(4)[: rng.integers(3, 5)]:
        foot = ((slot + rng.uniform(0.25, 0.75)) * width / 4, height * rng.uniform(0.7, 0.97))
        _cactus(draw, foot, height * rng.uniform(0.42, 0.62), green)
    return image


def _conifer(draw: ImageDraw.ImageDraw, foot: Point, tall: float, tone: Colour) -> None:
    x, y = foot
    draw.rectangle((x - tall * 0.03, y - tall * 0.2, x + tall * 0.03, y), fill=lighter(tone, -0.5))
    for low, high, half in ((0.12, 0.55, 0.26), (0.36, 0.78, 0.2), (0.6, 1.0, 0.14)):
        base = y - tall * low
        draw.polygon([(x - tall * half, base), (x, y - tall * high), (x, base)], fill=tone)
        right = [(x, base), (x, y - tall * high), (x + tall * half, base)]
        draw.polygon(right, fill=lighter(tone, -0.3))


def forest(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a forest of conifers in rows, the far ones pale."""
    width, height = size
    image, mist = sky(rng, size)
    draw = ImageDraw.Draw(image)
    tone = contrast(rng, mist)
    draw.rectangle((0, height * 0.5, width, height), fill=mix(mist, tone, 0.2))
    for row in range(4):
        tall = height * (0.26 + 0.07 * row)
        step = tall * 0.42
        for number in range(int(width / step) + 2):
            x = (number + rng.uniform(-0.25, 0.25)) * step
            foot = (x, height * (0.5 + 0.17 * row + rng.uniform(-0.03, 0.03)))
            _conifer(draw, foot, tall * rng.uniform(0.8, 1.2), mix(mist, tone, 0.4 + 0.2 * row))
    return image


def _boat(draw: ImageDraw.ImageDraw, at: Point, tall: float, sail: Colour, hull: Colour) -> None:
    x, y = at
    draw.polygon(
        [(x, y - tall), (x, y - tall * 0.15), (x + tall * 0.5, y - tall * 0.15)], fill=sail
    )
    left = [(x - 4, y - tall * 0.85), (x - 4, y - tall * 0.15), (x - tall * 0.35, y - tall * 0.15)]
    draw.polygon(left, fill=lighter(sail, -0.2))
    rim = [(x - tall * 0.45, y - tall * 0.1), (x + tall * 0.55, y - tall * 0.1)]
    draw.polygon([*rim, (x + tall * 0.35, y + tall * 0.1), (x - tall * 0.3, y + tall * 0.1)], hull)


def coast(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a sea of rolling waves with a sail or two."""
    width, height = size
    image, _ = sky(rng, size)
    draw = ImageDraw.Draw(image)
    horizon = height * rng.uniform(0.28, 0.4)
    sea = colour(rng, 0.3, 0.9)
    foam = contrast(rng, sea, vivid=0.3)
    image.paste(wash(rng, (width, height), lighter(sea, 0.2), sea), (0, int(horizon)))
    for _ in range(rng.integers(1, 3)):
        at = (rng.uniform(0.15, 0.85) * width, horizon + rng.uniform(0.03, 0.15) * height)
        _boat(draw, at, height * rng.uniform(0.22, 0.34), foam, lighter(foam, -0.5))
    y, row = horizon + 0.06 * height, 0
    while y < height * 1.05:
        swell = 0.05 * height + 0.14 * (y - horizon)
        for number in range(-1, int(width / swell / 2) + 2):
            left = (number + 0.5 * (row % 2) + rng.uniform(-0.08, 0.08)) * 2 * swell
            box = (left, y - swell * 0.5, left + 2 * swell, y + swell * 0.7)
            draw.arc(box, 0, 180, fill=foam, width=max(2, int(swell * 0.22)))
        y, row = y + swell * 0.95, row + 1
    return image


def _peak(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, top: Point, base: float, tone: Colour
) -> None:
    x, y = top
    tall = base - y
    left, right = tall * rng.uniform(0.6, 0.85), tall * rng.uniform(0.6, 0.85)
    draw.polygon([(x - left, base), top, (x + right, base)], fill=lighter(tone, -0.35))
    draw.polygon([(x - left, base), top, (x + right * 0.15, base)], fill=tone)
    snow, jags = rng.uniform(0.3, 0.42), 5
    edge = np.linspace(-left * snow, right * snow, 2 * jags + 1)
    drop = tall * (snow - 0.12 * (np.arange(2 * jags + 1) % 2))
    cap = [(x + float(dx), y + float(dy)) for dx, dy in zip(edge, drop, strict=True)]
    white = (245, 247, 250) if luminance(tone) < 170 else (255, 255, 255)
    draw.polygon([top, *cap], fill=white)


def mountains(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw large mountains capped with snow."""
    width, height = size
    image, _ = sky(rng, size)
    draw = ImageDraw.Draw(image)
    rock = colour(rng, 0.2, 0.6)
    for row, count in enumerate((3, 2)):
        base = height * (0.85 + 0.1 * row)
        for number in rng.permutation(count):
            x = (number + rng.uniform(0.2, 0.8)) * width / count
            top = (x, height * rng.uniform(0.12 + 0.14 * row, 0.24 + 0.16 * row))
            _peak(rng, draw, top, base, lighter(rock, 0.25 - 0.25 * row))
    meadow = ridge(rng, width, height * 0.84, height * 0.02)
    draw.polygon([*meadow, (width, height), (0, height)], fill=colour(rng, 0.2, 0.8))
    return image


def _tower(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    wall: Colour,
) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, fill=wall)
    light, dim = contrast(rng, wall), lighter(wall, 0.15)
    columns = int(rng.integers(3, 5))
    pane = (right - left) / (columns + 0.5)
    for row in range(int((bottom - top) / pane / 1.25)):
        y = top + pane * (0.5 + 1.25 * row)
        for column, lit in enumerate(rng.random(columns) < 0.7):
            x = left + pane * (column + 0.5)
            draw.rectangle((x, y, x + pane * 0.55, y + pane * 0.8), fill=light if lit else dim)


def skyline(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw the towers of a city, with many windows lit."""
    width, height = size
    image, _ = sky(rng, size)
    draw = ImageDraw.Draw(image)
    for row, count in enumerate((6, 5)):
        wall = colour(rng, 0.15, 0.8)
        for number in range(count):
            left = (number + rng.uniform(-0.1, 0.1)) * width / count
            right = left + width / count * rng.uniform(0.75, 1.0)
            top = height * rng.uniform(0.12 + 0.25 * row, 0.4 + 0.25 * row)
            _tower(rng, draw, (left, top, right, height), lighter(wall, rng.uniform(-0.3, 0.1)))
    return image


def fields(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw ploughed rows that meet at the horizon, and a barn."""
    width, height = size
    image, _ = sky(rng, size)
    draw = ImageDraw.Draw(image)
    horizon = height * rng.uniform(0.28, 0.42)
    crop = colour(rng, 0.3, 0.9)
    soil = contrast(rng, crop)
    draw.rectangle((0, horizon, width, height), fill=crop)
    far, rows = width * rng.uniform(0.25, 0.75), int(rng.integers(13, 19))
    edges = np.linspace(-1.6, 2.6, 2 * rows) * width
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        furrow = [(far - 2, horizon), (far + 2, horizon), (float(right), height)]
        draw.polygon([*furrow, (float(left), height)], fill=soil)
    x, side, wall = rng.uniform(0.05, 0.8) * width, height * 0.12, colour(rng)
    draw.rectangle((x, horizon - side, x + 1.4 * side, horizon + 0.1 * side), fill=wall)
    roof = [(x - side * 0.15, horizon - side), (x + side * 0.7, horizon - 1.7 * side)]
    draw.polygon([*roof, (x + side * 1.55, horizon - side)], fill=lighter(wall, -0.5))
    return image
