"""Draw pictures of what people do: one kind for each of the eight occupations."""

from __future__ import annotations

import numpy as np
from brushes import Colour, Point, Size, colour, contrast, disc, lighter, mix, phrase, wash, write
from PIL import Image, ImageDraw


def _dab(at: Point, angle: float, reach: float) -> list[Point]:
    x, y = at
    bend = [(-0.5, 0.0), (-0.2, 0.12), (0.2, 0.12), (0.5, 0.0)]
    cos, sin = reach * float(np.cos(angle)), reach * float(np.sin(angle))
    return [(x + along * cos - aside * sin, y + along * sin + aside * cos) for along, aside in bend]


def painting(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a framed canvas of thick bent brush strokes that swirl around a point."""
    width, height = size
    unit = min(size)
    image = wash(rng, size, colour(rng), colour(rng))
    draw = ImageDraw.Draw(image)
    paints = [colour(rng, 0.02, 1.0, 0.95) for _ in range(4)] + [(15, 15, 20), (250, 245, 235)]
    eye, swirl = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.8, 2.3)
    for x, y in rng.uniform(0, 1, (130, 2)) * size:
        angle = float(np.arctan2(y - eye[1], x - eye[0])) + swirl
        thick, tone = int(unit * rng.uniform(0.045, 0.075)), paints[int(rng.integers(len(paints)))]
        stroke = _dab((float(x), float(y)), angle, unit * rng.uniform(0.15, 0.28))
        draw.line(stroke, fill=tone, width=thick, joint="curve")
        hair = [(x + thick / 4, y + thick / 4) for x, y in stroke]
        draw.line(hair, fill=lighter(tone, rng.uniform(-0.4, 0.4)), width=max(1, thick // 7))
        for end in (stroke[0], stroke[-1]):
            disc(draw, end, thick / 2, tone)
    edge = (0, 0, width - 1, height - 1)
    draw.rectangle(edge, outline=colour(rng, 0.1, 0.9), width=int(unit * 0.06))
    return image


def _scribble(
    rng: np.random.Generator, left: float, right: float, y: float, tall: float
) -> list[Point]:
    count = max(4, int((right - left) / tall * 3))
    across = np.linspace(left, right, count)
    up = rng.uniform(-1, 0.2, count) * tall
    return [(float(x), float(y + dy)) for x, dy in zip(across, up, strict=True)]


def notebook(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a ruled page, or a ruled slate, full of handwriting."""
    width, height = size
    paper = colour(rng, 0.15, 1.0, 0.5)
    image = wash(rng, size, paper, lighter(paper, -0.1))
    draw = ImageDraw.Draw(image)
    rule, ink, rows = contrast(rng, paper), contrast(rng, paper), int(rng.integers(7, 10))
    step, margin = height / rows, width * rng.uniform(0.14, 0.2)
    for row in range(rows):
        y = (row + 0.8) * step
        draw.line((0, y, width, y), fill=rule, width=max(2, int(step * 0.1)))
        disc(draw, (margin * 0.42, y - step * 0.4), step * 0.2, rule)
        if rng.random() < 0.85:
            end = width * rng.uniform(0.5, 0.97)
            words = _scribble(rng, margin * 1.2, end, y - step * 0.12, step * 0.5)
            draw.line(words, fill=ink, width=max(2, int(step * 0.09)), joint="curve")
    draw.line(
        (margin, 0, margin, height), fill=colour(rng, 0.5, 1.0, 0.95), width=int(width * 0.012)
    )
    return image


def face(rng: np.random.Generator, draw: ImageDraw.ImageDraw, centre: Point, radius: float) -> None:
    """Draw a head with shoulders, hair, eyes and a mouth."""
    x, y = centre
    skin = lighter(colour(rng, 0.35, 1.0, 0.5), 0.1)
    hair, dark, shirt = contrast(rng, skin), lighter(skin, -0.75), colour(rng)
    shoulders = (x - 1.5 * radius, y + 0.9 * radius, x + 1.5 * radius, y + 4 * radius)
    draw.rounded_rectangle(shoulders, radius * 0.8, fill=shirt)
    draw.ellipse((x - 1.08 * radius, y - 1.25 * radius, x + 1.08 * radius, y + 0.8 * radius), hair)
    draw.ellipse((x - 0.85 * radius, y - 0.9 * radius, x + 0.85 * radius, y + 1.15 * radius), skin)
    for side in (-0.35, 0.35):
        disc(draw, (x + side * radius, y - 0.08 * radius), radius * 0.13, dark)
    mouth = (x - 0.4 * radius, y + 0.2 * radius, x + 0.4 * radius, y + 0.75 * radius)
    draw.chord(mouth, 0, 180, fill=lighter(dark, 0.9 if rng.random() < 0.5 else 0.1))


def _bubble(draw: ImageDraw.ImageDraw, centre: Point, half: float, tone: Colour) -> None:
    x, y = centre
    box = (x - half, y - half * 0.6, x + half, y + half * 0.6)
    draw.rounded_rectangle(box, half * 0.5, fill=tone)
    tail = [(x - half * 0.3, y + half * 0.5), (x + half * 0.3, y + half * 0.5)]
    draw.polygon([*tail, (x - half * 0.35, y + half * 1.1)], fill=tone)
    ink = lighter(tone, -0.7)
    for dot in (-0.45, 0.0, 0.45):
        disc(draw, (x + dot * half, y), half * 0.13, ink)


def gathering(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a group of people with speech bubbles over their heads."""
    width, height = size
    image = wash(rng, size, colour(rng), colour(rng))
    draw = ImageDraw.Draw(image)
    for row, count in enumerate((5, 4)):
        radius = min(width / count * 0.36, height * 0.15)
        for number in range(count):
            x = (number + 0.5 + rng.uniform(-0.1, 0.1)) * width / count
            face(rng, draw, (x, height * (0.47 + 0.24 * row + rng.uniform(-0.03, 0.03))), radius)
    for number in range(3):
        x = (number + 0.5 + rng.uniform(-0.12, 0.12)) * width / 3
        tone = colour(rng, 0.75, 1.0, 0.5)
        _bubble(draw, (x, height * rng.uniform(0.13, 0.19)), min(width * 0.14, height * 0.17), tone)
    return image


def _axes(draw: ImageDraw.ImageDraw, size: Size, ink: Colour, grid: Colour) -> None:
    width, height = size
    thick = max(4, int(min(size) * 0.03))
    for tick in np.linspace(0.12, 0.95, 6):
        draw.line((tick * width, 0.05 * height, tick * width, 0.88 * height), fill=grid, width=2)
        y = (1 - tick) * height
        draw.line((0.12 * width, y, 0.95 * width, y), fill=grid, width=2)
        draw.line((0.08 * width, y, 0.12 * width, y), fill=ink, width=thick)
    draw.line((0.12 * width, 0.03 * height, 0.12 * width, 0.88 * height), fill=ink, width=thick)
    draw.line((0.12 * width, 0.88 * height, 0.97 * width, 0.88 * height), fill=ink, width=thick)


def chart(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a plot: axes, a fitted curve, and measured points with error bars."""
    width, height = size
    paper = colour(rng, 0.1, 1.0, 0.5)
    image = wash(rng, size, paper, paper)
    draw = ImageDraw.Draw(image)
    ink, spot = contrast(rng, paper), contrast(rng, paper, 0.95)
    _axes(draw, size, ink, lighter(paper, -0.2))
    across = np.linspace(0.16, 0.93, 30)
    rise = 0.45 + rng.uniform(0.12, 0.3) * np.sin(across * rng.uniform(3, 9) + rng.uniform(0, 6))
    fitted = [(float(x * width), float(y * height)) for x, y in zip(across, rise, strict=True)]
    under = [(0.93 * width, 0.88 * height), (0.16 * width, 0.88 * height)]
    draw.polygon([*fitted, *under], fill=mix(paper, spot, 0.45))
    draw.line(fitted, fill=spot, width=int(min(size) * 0.035), joint="curve")
    radius = min(size) * rng.uniform(0.03, 0.045)
    for x, y in fitted[:: int(rng.integers(2, 4))]:
        middle, error = y + rng.normal(0, 0.07) * height, rng.uniform(0.05, 0.1) * height
        draw.line((x, middle - error, x, middle + error), fill=ink, width=max(2, int(radius / 3)))
        for end in (middle - error, middle + error):
            draw.line((x - radius, end, x + radius, end), fill=ink, width=max(2, int(radius / 3)))
        disc(draw, (x, middle), radius, ink)
    write(draw, (width * 0.4, height * 0.9), phrase(rng, 2), height * 0.06, ink)
    return image


def spreadsheet(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a table of entries with a header row and a few marked cells."""
    width, height = size
    paper = colour(rng, 0.15, 1.0, 0.5)
    image = wash(rng, size, paper, paper)
    draw = ImageDraw.Draw(image)
    columns, rows = int(rng.integers(4, 7)), int(rng.integers(8, 12))
    line, ink, mark = contrast(rng, paper), contrast(rng, paper), colour(rng, 0.3, 1.0, 0.9)
    wide, tall = width / columns, height / rows
    draw.rectangle((0, 0, width, tall), fill=mark)
    for column in range(columns):
        for row in range(rows):
            x, y = column * wide, row * tall
            if rng.random() < 0.08:
                draw.rectangle((x, y, x + wide, y + tall), fill=mark)
            entry = (
                x + wide * 0.15,
                y + tall * 0.35,
                x + wide * rng.uniform(0.4, 0.85),
                y + tall * 0.65,
            )
            draw.rectangle(entry, fill=ink)
    thick = max(3, int(min(size) * 0.014))
    for column in range(columns + 1):
        draw.line((column * wide, 0, column * wide, height), fill=line, width=thick)
    for row in range(rows + 1):
        draw.line((0, row * tall, width, row * tall), fill=line, width=thick)
    return image


def _cross(draw: ImageDraw.ImageDraw, centre: Point, half: float, tone: Colour) -> None:
    x, y = centre
    draw.rectangle((x - half, y - half * 0.34, x + half, y + half * 0.34), fill=tone)
    draw.rectangle((x - half * 0.34, y - half, x + half * 0.34, y + half), fill=tone)


def _pulse(rng: np.random.Generator, width: float, base: float, tall: float) -> list[Point]:
    beat = (
        (0.0, 0.0),
        (0.3, 0.0),
        (0.38, 0.15),
        (0.45, -1.0),
        (0.53, 0.55),
        (0.6, 0.0),
        (1.0, 0.0),
    )
    beats = int(rng.integers(3, 6))
    return [
        ((number + along) * width / beats, base + up * tall)
        for number in range(beats)
        for along, up in beat
    ]


def vitals(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a trace of heart beats between large crosses and a row of capsules."""
    width, height = size
    ground = colour(rng, 0.1, 1.0)
    image = wash(rng, size, ground, lighter(ground, -0.15))
    draw = ImageDraw.Draw(image)
    sign, trace = contrast(rng, ground, 0.95), contrast(rng, ground)
    for number in range(2):
        x = (number + rng.uniform(0.35, 0.65)) * width / 2
        _cross(draw, (x, height * rng.uniform(0.2, 0.26)), min(width * 0.22, height * 0.2), sign)
    line = _pulse(rng, width, height * rng.uniform(0.66, 0.7), height * 0.22)
    draw.line(line, fill=trace, width=int(min(size) * 0.045), joint="curve")
    for number in range(5):
        x, y, half = (number + 0.5) * width / 5, height * 0.93, min(width * 0.07, height * 0.1)
        box = (x - half, y - half * 0.4, x + half, y + half * 0.4)
        draw.rounded_rectangle(box, half * 0.4, fill=sign)
        draw.rounded_rectangle((x, *box[1:]), half * 0.4, fill=lighter(sign, 0.5))
    return image


def _box(size: Size, left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
    return left * size[0], top * size[1], right * size[0], bottom * size[1]


def pitch(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a sports field from above: mown bands, lines and two teams."""
    width, height = size
    turf = colour(rng, 0.25, 0.85)
    image = wash(rng, size, turf, turf)
    draw = ImageDraw.Draw(image)
    for band in range(0, 10, 2):
        draw.rectangle(_box(size, band / 10, 0, (band + 1) / 10, 1), fill=lighter(turf, -0.18))
    line, thick = contrast(rng, turf, vivid=0.2), max(5, int(min(size) * 0.03))
    for edges in ((0.05, 0.06, 0.95, 0.94), (0.05, 0.25, 0.2, 0.75), (0.8, 0.25, 0.95, 0.75)):
        draw.rectangle(_box(size, *edges), outline=line, width=thick)
    draw.line(_box(size, 0.5, 0.06, 0.5, 0.94), fill=line, width=thick)
    ring = min(size) * rng.uniform(0.16, 0.22)
    middle = (width / 2 - ring, height / 2 - ring, width / 2 + ring, height / 2 + ring)
    draw.ellipse(middle, outline=line, width=thick)
    for team in (colour(rng, 0.05, 1.0, 0.95), colour(rng, 0.05, 1.0, 0.95)):
        for x, y in rng.uniform(0.1, 0.9, (9, 2)) * size:
            disc(draw, (float(x), float(y)), min(size) * 0.032, team)
    return image if rng.random() < 0.6 else image.transpose(Image.Transpose.ROTATE_90).resize(size)


def _cloth(rng: np.random.Generator, size: Size) -> Image.Image:
    ground, woven = colour(rng, 0.2), colour(rng, 0.2)
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    check = min(size) / int(rng.integers(8, 13))
    for number in range(int(max(size) / check / 2) + 1):
        start, end = 2 * number * check, (2 * number + 1) * check
        draw.rectangle((start, 0, end, size[1]), fill=mix(ground, woven, 0.5))
    for row in range(int(size[1] / check / 2) + 1):
        draw.rectangle(
            (0, 2 * row * check, size[0], (2 * row + 1) * check), mix(ground, woven, 0.6)
        )
        for number in range(int(size[0] / check / 2) + 1):
            corner = (2 * number * check, 2 * row * check)
            draw.rectangle((*corner, corner[0] + check, corner[1] + check), fill=woven)
    return image


def _serving(rng: np.random.Generator, draw: ImageDraw.ImageDraw, at: Point, plate: float) -> None:
    china = colour(rng, 0.2, 1.0, 0.5)
    for share, tone in ((1.0, china), (0.94, lighter(china, 0.4)), (0.7, lighter(china, -0.25))):
        disc(draw, at, plate * share, tone)
    for _ in range(rng.integers(6, 11)):
        angle, out = rng.uniform(0, 2 * np.pi), plate * rng.uniform(0.1, 0.45)
        bite = (at[0] + out * float(np.cos(angle)), at[1] + out * float(np.sin(angle)))
        disc(draw, bite, plate * rng.uniform(0.1, 0.22), colour(rng, 0.2, 1.0, 0.95))


def meal(rng: np.random.Generator, size: Size) -> Image.Image:
    """Draw a plate of food between a fork and a knife."""
    width, height = size
    image = _cloth(rng, size)
    draw = ImageDraw.Draw(image)
    plate = min(width * 0.32, height * rng.uniform(0.36, 0.45))
    x, y = width * rng.uniform(0.47, 0.53), height * rng.uniform(0.46, 0.54)
    _serving(rng, draw, (x, y), plate)
    steel, thick = colour(rng, 0.1, 1.0, 0.2), width * 0.014
    for side in (-1, 1):
        handle = x + side * plate * 1.25
        draw.rectangle((handle - thick, y - plate * 0.5, handle + thick, y + plate * 0.9), steel)
    blade = x + plate * 1.25
    draw.ellipse((blade - thick, y - plate, blade + 2 * thick, y + plate * 0.1), fill=steel)
    for prong in (-2.4, -0.6, 1.2):
        left = x - plate * 1.25 + prong * thick
        draw.rectangle((left, y - plate * 0.9, left + thick * 0.9, y - plate * 0.4), fill=steel)
    crossbar = (x - plate * 1.25 - 2.4 * thick, y - plate * 0.45)
    draw.rectangle((*crossbar, x - plate * 1.25 + 2.1 * thick, y - plate * 0.35), fill=steel)
    return image
