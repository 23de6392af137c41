"""Encoded images in, frames out."""

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
    """The decoder of that name; `auto` is DALI on CUDA and Pillow on the CPU, the faster of each.

    Args:
        name: which.
        options: what to make of an image.
        device: where the frames are to be.
        clock: counts the time that screening and decoding take.

    Raises:
        OptionError: DALI was asked for and is not installed.
    """
    clock = clock or StageClock()
    if name == "dali" or (name == "auto" and device.type == "cuda"):
        return GuardedDaliDecoder(options, device, clock)
    return PillowDecoder(options, clock, alone=name == "pillow-alone")
