"""DALI, a fast but fragile batch decoder, made safe.

Images are screened first. DALI decodes those that pass as a batch, and Pillow decodes the rest. The
result of an image depends on that image alone: on its header, then on whether DALI can decode it,
then on Pillow.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.decoders.base import DecodedFrames, DecodeOptions, OnImage, ignore_image
from tweetprofile.decoders.dali import HOST_TURN, DaliBatchDecoder, SampleFailedError
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.scan_choice import shorten_jpeg
from tweetprofile.decoders.screening import HeaderScreen
from tweetprofile.errors import Reason
from tweetprofile.job import DecoderName
from tweetprofile.stages import Stage, StageClock

_PIXELS_AT_ONCE_CPU = 128_000_000
_PIXELS_AT_ONCE_CUDA = 1_000_000_000
_SHARE_OF_FREE_MEMORY = 1 / 8
"""The share of a GPU's free memory for the decoded images of one worker thread; decoding them takes
as much again."""


class GuardedDaliDecoder:
    """Decodes with DALI whatever is safe to give it, and with Pillow everything else.

    Args:
        options: The size of the frames, and the limits of the images.
        device: The device that decodes and then holds the frames.
        clock: The clock that counts the time spent on screening and decoding.
        shortens: Whether DALI gets progressive JPEGs without the scans that a frame cannot show,
            if the options allow it; None for the device's default. On a CPU that nearly halves the
            time. On a GPU it has not been measured, so it is off.
    """

    name: DecoderName = "dali"

    def __init__(
        self,
        options: DecodeOptions,
        device: torch.device,
        clock: StageClock | None = None,
        *,
        shortens: bool | None = None,
    ) -> None:
        self._clock = clock or StageClock()
        self._screen = HeaderScreen(options.max_pixels)
        self._fast = DaliBatchDecoder(options, device)
        self._fallback = PillowDecoder(options, self._clock)
        self._size = options.height, options.width
        shortens = device.type == "cpu" if shortens is None else shortens
        self._shortens = shortens and options.detail == "frame"
        self._pixels_at_once = _pixels_at_once(device)
        self.device = device

    @property
    def host_turn(self) -> AbstractContextManager[object]:
        """The turn of the threads of this process at working for DALI."""
        return HOST_TURN

    def decode(self, images: Sequence[Encoded], on_image: OnImage = ignore_image) -> DecodedFrames:
        """Decode as `FrameDecoder.decode` says; the frames are on the decoder's device."""
        with HOST_TURN, self._clock.timing(Stage.SCREEN):
            parts = self._safe_parts(images)
        with self._clock.timing(Stage.DECODE):
            decoded, fast_frames = self._decode_fast(images, parts, on_image)
        if len(decoded) == len(images):
            return DecodedFrames(fast_frames, (None,) * len(images))
        taken = set(decoded)
        rest = [position for position in range(len(images)) if position not in taken]
        slow = self._fallback.decode(
            [images[position] for position in rest],
            lambda which: on_image(None if which is None else rest[which]),
        )
        return self._merge(len(images), (decoded, fast_frames), (rest, slow))

    def _safe_parts(self, images: Sequence[Encoded]) -> list[list[int]]:
        """Return the positions of the images for DALI, in parts whose pixels fit into memory."""
        parts: list[list[int]] = []
        pixels_left = 0
        for position, image in enumerate(images):
            if not (pixels := self._screen.count_pixels(image)):
                continue
            if pixels > pixels_left or not parts:
                parts.append([])
                pixels_left = self._pixels_at_once
            parts[-1].append(position)
            pixels_left -= pixels
        return parts

    def _decode_fast(
        self, images: Sequence[Encoded], parts: list[list[int]], on_image: OnImage
    ) -> tuple[list[int], torch.Tensor]:
        """Return the positions of the images that DALI could decode, and their frames."""
        decoded: list[int] = []
        frames = [torch.empty((0, *self._size, 3), dtype=torch.uint8, device=self.device)]
        while parts:
            part = parts.pop()
            try:
                needed = [self._needed_of(images[position]) for position in part]
                frames.append(self._fast.decode(needed))
                decoded += part
            except SampleFailedError as error:
                parts += _halves(part[: error.position] + part[error.position + 1 :])
            except RuntimeError:
                # DALI names no image as the cause, and the other images must keep their decoder.
                parts += _halves(part) if len(part) > 1 else []
            on_image(None)  # a finished part is progress; DALI does not report single images
        return decoded, frames[-1] if len(frames) == 2 else torch.cat(frames)

    def _needed_of(self, image: Encoded) -> Encoded:
        """Return an image without the scans that a frame cannot show, if it has any."""
        if not self._shortens:
            return image
        # The quantisers stay as they are: a JPEG that the standard does not allow is not for DALI.
        short = shorten_jpeg(bytes(image), max(self._size), guesses=True)
        return image if short is None else short.data

    def _merge(
        self,
        images: int,
        fast: tuple[list[int], torch.Tensor],
        slow: tuple[list[int], DecodedFrames],
    ) -> DecodedFrames:
        """Put the frames of both decoders back into the order of the images."""
        failures: list[Reason | None] = [None] * images
        for position, failure in zip(slow[0], slow[1].failures, strict=True):
            failures[position] = failure
        rescued = [position for position in slow[0] if failures[position] is None]
        frames = torch.cat([fast[1], slow[1].frames_FHWC.to(self.device)])
        order = sorted(range(len(frames)), key=(fast[0] + rescued).__getitem__)
        return DecodedFrames(frames[order], tuple(failures))


def _pixels_at_once(device: torch.device) -> int:
    """Return the pixels of a part, which DALI decodes at full size, in 3 bytes per pixel."""
    if device.type == "cpu":
        return _PIXELS_AT_ONCE_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return min(_PIXELS_AT_ONCE_CUDA, int(free * _SHARE_OF_FREE_MEMORY) // 3)


def _halves(positions: list[int]) -> list[list[int]]:
    """Split a failed part in two, so that many failures do not each rerun all of it.

    The half to try next comes last.
    """
    middle = len(positions) // 2
    return [half for half in (positions[middle:], positions[:middle]) if half]
