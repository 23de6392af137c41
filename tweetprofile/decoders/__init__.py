"""Encoded images in, frames out."""

import torch

from tweetprofile.decoders.base import DecodedFrames, DecodeOptions, FrameDecoder
from tweetprofile.decoders.guarded import GuardedDaliDecoder
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.job import DecoderName

__all__ = ["DecodeOptions", "DecodedFrames", "FrameDecoder", "make_decoder"]


def make_decoder(name: DecoderName, options: DecodeOptions, device: torch.device) -> FrameDecoder:
    """The decoder of that name; `auto` is DALI on CUDA and Pillow on the CPU, the faster of each.

    Raises:
        OptionError: DALI was asked for and is not installed.
    """
    if name == "dali" or (name == "auto" and device.type == "cuda"):
        return GuardedDaliDecoder(options, device)
    return PillowDecoder(options, alone=name == "pillow-alone")
