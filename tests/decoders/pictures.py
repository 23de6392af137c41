"""Pictures that show what is lost when less than all of an image is decoded."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def text(width: int, height: int, seed: int = 0, *, dark: bool = False) -> Image.Image:
    """Draw a page of text: sharp edges next to white, or to black."""
    random = np.random.default_rng(seed)
    paper, ink = ("black", "white") if dark else ("white", "black")
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height // 15), fill=(29, 155, 240))
    top = height // 12
    while top < height:
        size = int(random.choice([18, 26, 36]))
        lengths = random.integers(2, 9, 30)
        words = " ".join("".join(random.choice(list(_LETTERS), length)) for length in lengths)
        draw.text((width // 40, top), words, fill=ink, font=ImageFont.load_default(size))
        top += size + 12
    return image


def shapes(width: int, height: int, seed: int = 0, count: int = 40) -> Image.Image:
    """Draw `count` rectangles and circles of strong colours."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(random.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        colour = tuple(random.integers(0, 256, 3))
        x, y = int(random.integers(width)), int(random.integers(height))
        across, down = (int(random.integers(5, side // 3)) for side in (width, height))
        draw.rectangle((x, y, x + across, y + down), fill=colour)
        draw.ellipse((y, x, y + down, x + across), outline=colour, width=int(random.integers(1, 9)))
    return image


def scenery(width: int, height: int, seed: int = 0) -> Image.Image:
    """Draw what has waves of every length, as photographs have, each as strong as it is long."""
    random = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequencies[0, 0] = 1
    planes = []
    for strength in (60, 12, 12):
        phases = np.exp(2j * np.pi * random.random(frequencies.shape))
        waves = np.fft.irfft2(phases / frequencies**1.2, (height, width))
        planes.append(strength * waves / waves.std() + 128)
    pixels = np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels, "YCbCr").convert("RGB")
