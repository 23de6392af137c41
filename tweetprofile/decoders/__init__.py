"""Decoders: encoded images in, frames out.

To add an image format, start in `formats.py`, which lists the formats that are decoded and those
that are refused. `tests/conftest.py` has one image per format (`good_images`, `damaged_images`),
which `tests/decoders/` runs through every decoder. A format that Pillow cannot read needs a module
of its own next to `turbojpeg.py` and `nvimagecodec.py`, which `pillow.py` then calls.
"""

import torch

from tweetprofile.decoders.base import (
    DecodedFrames,
    DecodeOptions,
    FrameDecoder,
    OnImage,
    ignore_image,
)
from tweetprofile.decoders.guarded import GuardedDaliDecoder
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.job import DecoderName
from tweetprofile.stages import StageClock

__all__ = [
    "DecodeOptions",
    "DecodedFrames",
    "FrameDecoder",
    "OnImage",
    "ignore_image",
    "make_decoder",
]


def make_decoder(
    name: DecoderName,
    options: DecodeOptions,
    device: torch.device,
    clock: StageClock | None = None,
) -> FrameDecoder:
    """Return the decoder of that name; `auto` chooses DALI on CUDA and Pillow on a CPU.

    Each is the faster one on that device.

    Args:
        name: The name of the decoder.
        options: The size of the frames and the limits of the images.
        device: The device that holds the frames.
        clock: The clock that counts the time spent on screening and decoding.

    Raises:
        OptionError: DALI is chosen and not installed.
    """
    clock = clock or StageClock()
    if name == "dali" or (name == "auto" and device.type == "cuda"):
        return GuardedDaliDecoder(options, device, clock)
    return PillowDecoder(options, clock, pillow_only=name == "pillow-alone")
