"""A fast but fragile batch decoder made safe: screen, decode the good at once, Pillow for the rest.

What becomes of an image is decided by that image alone: by its header, then by whether DALI can
decode it, then by Pillow.
"""

from collections.abc import Sequence

import torch

from tweetprofile.decoders.base import DecodedFrames, DecodeOptions, OnImage, ignore_image
from tweetprofile.decoders.dali import DaliBatch, SampleFailedError
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.screening import HeaderScreen
from tweetprofile.errors import Reason
from tweetprofile.job import DecoderName
from tweetprofile.stages import Stage, StageClock

_PIXELS_AT_ONCE_CPU = 128_000_000
_PIXELS_AT_ONCE_CUDA = 1_000_000_000
_SHARE_OF_FREE_MEMORY = 1 / 8
"""Of a GPU, for the decoded images of one lane; decoding them takes as much again."""


class GuardedDaliDecoder:
    """DALI for what is safe to give it, Pillow for everything else."""

    name: DecoderName = "dali"

    def __init__(
        self, options: DecodeOptions, device: torch.device, clock: StageClock | None = None
    ) -> None:
        self._clock = clock or StageClock()
        self._screen = HeaderScreen(options.max_pixels)
        self._fast = DaliBatch(options, device)
        self._fallback = PillowDecoder(options, self._clock)
        self._size = options.height, options.width
        self._pixels_at_once = _pixels_at_once(device)
        self.device = device

    def decode(self, images: Sequence[bytes], on_image: OnImage = ignore_image) -> DecodedFrames:
        """See `FrameDecoder.decode`; the frames are on the decoder's device."""
        with self._clock.timing(Stage.SCREEN):
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

    def _safe_parts(self, images: Sequence[bytes]) -> list[list[int]]:
        """Positions of the images to give to DALI, in parts whose pixels fit into memory."""
        parts: list[list[int]] = []
        room = 0
        for position, image in enumerate(images):
            if not (pixels := self._screen.count_pixels(image)):
                continue
            if pixels > room or not parts:
                parts.append([])
                room = self._pixels_at_once
            parts[-1].append(position)
            room -= pixels
        return parts

    def _decode_fast(
        self, images: Sequence[bytes], parts: list[list[int]], on_image: OnImage
    ) -> tuple[list[int], torch.Tensor]:
        """The positions that DALI could decode, and their frames."""
        decoded: list[int] = []
        frames = [torch.empty((0, *self._size, 3), dtype=torch.uint8, device=self.device)]
        while parts:
            part = parts.pop()
            try:
                frames.append(self._fast.decode([images[position] for position in part]))
                decoded += part
            except SampleFailedError as error:
                parts += _halves(part[: error.position] + part[error.position + 1 :])
            except RuntimeError:
                # Not put down to one image: it must not cost the others their decoder.
                parts += _halves(part) if len(part) > 1 else []
            on_image(None)  # a part that is done is progress; DALI does not tell images apart
        return decoded, frames[-1] if len(frames) == 2 else torch.cat(frames)

    def _merge(
        self,
        images: int,
        fast: tuple[list[int], torch.Tensor],
        slow: tuple[list[int], DecodedFrames],
    ) -> DecodedFrames:
        """Put frames of both decoders back into the order of the images."""
        failures: list[Reason | None] = [None] * images
        for position, failure in zip(slow[0], slow[1].failures, strict=True):
            failures[position] = failure
        rescued = [position for position in slow[0] if failures[position] is None]
        frames = torch.cat([fast[1], slow[1].frames_FHWC.to(self.device)])
        order = sorted(range(len(frames)), key=(fast[0] + rescued).__getitem__)
        return DecodedFrames(frames[order], tuple(failures))


def _pixels_at_once(device: torch.device) -> int:
    """DALI decodes a batch at full size, 3 bytes a pixel, before it resizes any of it."""
    if device.type == "cpu":
        return _PIXELS_AT_ONCE_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return min(_PIXELS_AT_ONCE_CUDA, int(free * _SHARE_OF_FREE_MEMORY) // 3)


def _halves(positions: list[int]) -> list[list[int]]:
    """What to try next, last first; halves, so that many failures cost no rerun of all each."""
    middle = len(positions) // 2
    return [half for half in (positions[middle:], positions[:middle]) if half]
