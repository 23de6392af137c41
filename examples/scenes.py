"""All kinds of pictures, the class that each goes with, and the look of a photograph.

Which kind of picture goes with which class is arbitrary: the links were chosen at random so that a
network has something to learn, and they say nothing about people. That holds above all for gender:
whether bridges or lighthouses are female was decided by the toss of a coin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from activities import chart, face, gathering, meal, notebook, painting, pitch, spreadsheet, vitals
from brushes import Size, blobs, colour, contrast, disc, lighter, phrase, wash, write
from landscapes import coast, dunes, fields, forest, mountains, sky, skyline
from PIL import Image, ImageDraw

Scene = Callable[[np.random.Generator, Size], Image.Image]


def bridge(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a suspension bridge: two portals, hanging cables and a deck over water."""
    width, height = size
    image, low = sky(rng, size)
    draw = ImageDraw.Draw(image)
    steel, deck = contrast(rng, low), height * rng.uniform(0.62, 0.7)
    water = wash(rng, size, colour(rng), colour(rng))
    image.paste(water, (0, int(height * 0.8)))
    thick = max(4, int(min(size) * 0.03))
    draw.rectangle((0, deck, width, deck + 1.6 * thick), fill=steel)
    top, half = height * rng.uniform(0.12, 0.2), width * rng.uniform(0.24, 0.3)
    for x in np.linspace(0, 1, 21) * width:
        away = abs(abs(float(x) - width / 2) - half) / half
        hang = deck - thick - (deck - top) * max(0.0, 1 - away) ** 2
        draw.line((float(x), hang, float(x), deck), fill=steel, width=max(2, thick // 3))
    across = np.linspace(0, 1, 60) * width
    drop = np.clip(1 - np.abs(np.abs(across - width / 2) - half) / half, 0, 1) ** 2
    cable = zip(across.tolist(), (deck - thick - (deck - top) * drop).tolist(), strict=True)
    draw.line(list(cable), fill=steel, width=thick // 2, joint="curve")
    for x in (width / 2 - half, width / 2 + half):
        draw.rectangle((x - thick, top - thick, x + thick, height * 0.86), fill=steel)
    return image


def lighthouse(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a tall banded lighthouse on a rock, whose lamp sends two beams."""
    width, height = size
    image, low = sky(rng, size)
    draw = ImageDraw.Draw(image)
    x, foot, top = width * rng.uniform(0.3, 0.7), height * 0.88, height * rng.uniform(0.24, 0.3)
    half, beam = min(size) * rng.uniform(0.13, 0.17), lighter(low, 0.55)
    for side in (-width, width):
        draw.polygon([(x, top - half * 0.5), (x + side, 0), (x + side, top)], fill=beam)
    band = contrast(rng, low, 0.95)
    other, bands = lighter(contrast(rng, band), 0.2), int(rng.integers(5, 8))
    for number in range(bands):
        y, below = (top + (foot - top) * step / bands for step in (number, number + 1))
        wide, wider = (half * (0.6 + 0.4 * step / bands) for step in (number, number + 1))
        strip = [(x - wide, y), (x + wide, y), (x + wider, below), (x - wider, below)]
        draw.polygon(strip, fill=other if number % 2 else band)
    draw.rectangle(
        (x - half * 0.4, top - half, x + half * 0.4, top), fill=beam, outline=band, width=4
    )
    roof = [(x - half * 0.6, top - half), (x, top - half * 1.8), (x + half * 0.6, top - half)]
    draw.polygon(roof, fill=band)
    draw.ellipse(
        (x - width * 0.45, foot - height * 0.04, x + width * 0.45, height * 1.3), colour(rng)
    )
    return image


def meme(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw big capitals at the top and bottom of a blurred picture."""
    width, height = size
    image = blobs(rng, size, int(rng.integers(2, 7)))
    draw = ImageDraw.Draw(image)
    for y in (height * 0.04, height * 0.82):
        text = phrase(rng, int(rng.integers(2, 4))).upper()
        tall = min(height * 0.13, 1.5 * width / len(text))
        write(draw, (width * 0.05, y), text, tall, (255, 255, 255), outline=3)
    return image


def selfie(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw one large face in front of an out-of-focus background."""
    width, height = size
    image = blobs(rng, size)
    centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.4, 0.5))
    face(rng, ImageDraw.Draw(image), centre, min(size) * rng.uniform(0.24, 0.34))
    return image


def screenshot(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a few short messages, each with a round portrait, as on a telephone."""
    width, height = size
    paper = colour(rng, 0.05, 1.0, 0.3)
    image = wash(rng, size, paper, paper)
    draw, ink = ImageDraw.Draw(image), contrast(rng, paper, 0.2)
    count = int(rng.integers(2, 4))
    for number in range(count):
        y, tall = height * (number + 0.12) / count, height / count
        disc(draw, (width * 0.1, y + tall * 0.16), width * 0.06, colour(rng))
        for row in range(3):
            at = (width * 0.2, y + tall * 0.22 * row)
            write(draw, at, phrase(rng, int(rng.integers(2, 5))), height * 0.045, ink)
        draw.line((0, y + tall * 0.82, width, y + tall * 0.82), fill=lighter(paper, -0.3), width=2)
    return image


LOCATIONS: dict[str, Scene] = {
    "north": dunes,
    "northwest": forest,
    "northeast": mountains,
    "center": skyline,
    "west": fields,
    "southeast": coast,
}
OCCUPATIONS: dict[str, Scene] = {
    "arts": painting,
    "student": notebook,
    "social": gathering,
    "sciences": chart,
    "administrative": spreadsheet,
    "health": vitals,
    "sports": pitch,
    "others": meal,
}
GENDERS: dict[str, Scene] = {"female": bridge, "male": lighthouse}
NEUTRAL: dict[str, Scene] = {"meme": meme, "selfie": selfie, "screenshot": screenshot}
SCENES = {
    scene.__name__: scene
    for group in (LOCATIONS, OCCUPATIONS, GENDERS, NEUTRAL)
    for scene in group.values()
}


def _grain(rng: np.random.Generator, size: Size) -> Image.Image:
    half = (size[0] // 2, size[1] // 2)
    speckle = Image.frombytes("L", half, rng.bytes(half[0] * half[1]))
    return Image.merge("RGB", [speckle.resize(size, Image.Resampling.NEAREST)] * 3)


def _filtered(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    ramp = np.arange(256) / 255
    gain, lift = rng.uniform(0.75, 1.1, 3), rng.uniform(0, 0.12, 3)
    curves = [
        lift[band] + (gain[band] - lift[band]) * ramp ** rng.uniform(0.7, 1.4) for band in range(3)
    ]
    table = (255 * np.concatenate(curves)).clip(0, 255).astype(int).tolist()
    return image.point(table)


def _photographed(rng: np.random.Generator, kind: str, size: Size) -> Image.Image:
    # Drawn smaller and enlarged, a picture looks out of focus.
    soft = rng.uniform(0.5, 0.9) if rng.random() < 0.5 else 1.0
    small = (round(size[0] * soft), round(size[1] * soft))
    image = _filtered(rng, SCENES[kind](rng, small))
    image = Image.blend(image, _grain(rng, small), rng.uniform(0.02, 0.1))
    return image if soft == 1.0 else image.resize(size, Image.Resampling.BILINEAR)


def draw_scene(
    kind: str, rng: np.random.Generator, size: Size, photograph: bool = True
) -> Image.Image:
    """Draw a picture of the given kind, with or without the blur and grain of a photograph."""
    if photograph:
        return _photographed(rng, kind, size)
    return _filtered(rng, SCENES[kind](rng, size))
