"""Users in, the facts of each of their images out: `inspect` looks at every image.

A complete and ordinary image (JPEG, PNG or WebP) within the limits is not decoded: reading its
header takes a hundredth of the time and misses only damage inside the pixel data. Every other image
is decoded, so that `inspect` and `predict` agree about it.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa
import torch

from tweetprofile.data.images.digests import image_digest
from tweetprofile.data.images.reader import FailedImage, ImageReader
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.decoders import DecodeOptions, FrameDecoder, make_decoder
from tweetprofile.decoders.bounds import fits, why_excessive
from tweetprofile.decoders.formats import HEADER_CHECKED_FORMATS, is_complete, pillow_formats
from tweetprofile.decoders.pillow import identify
from tweetprofile.decoders.pillow_settings import pillow_settings
from tweetprofile.errors import Reason
from tweetprofile.job import FrameSize, PredictorOptions, WorkerFacts
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.choice import choose_frames
from tweetprofile.workers.devices import resolve_device
from tweetprofile.workers.findings import ImageFacts, UserFindings, make_findings
from tweetprofile.workers.observers import ImageObserver, NullObserver
from tweetprofile.workers.profiles import UserOutcome

_BATCH_SIZE = 16
"""Users per call; with these, the fixed cost of a task is a hundredth of its time."""


class Examiner:
    """Examines every image of users: its format and size, or the reason why it is unusable.

    Args:
        frames: The number of frames per volume, and their size, which determine what `predict`
            would use.
        full_decode: Whether to decode also those images whose header shows no fault.
        options: Where the images are, and the limits of an image.
        compute_slot: The context entered to compute and left to read; None for no limit.
        observer: The observer that learns which image is being examined. Without a supervisor that
            acts on it, only the image's header bounds the time that an image may take.

    Raises:
        OptionError: The machine lacks the device or decoder, or the image root is not a folder.
    """

    def __init__(
        self,
        frames: FrameSize,
        full_decode: bool,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        device = resolve_device(options.device)
        self._clock = StageClock()
        self._compute_slot = compute_slot or nullcontext()
        self._observer = observer or NullObserver()
        self._frames = frames.frames
        self._max_pixels = options.max_pixels
        self._reader = ImageReader(options.image_root, options.max_image_bytes)
        self._examiner = _ImageExaminer(
            frames, options, device, self._clock, full_decode=full_decode
        )
        self.facts = WorkerFacts(
            device=device.type,
            decoder=self._examiner.decoder.name,
            batch_size=_BATCH_SIZE,
            cuda_devices=torch.cuda.device_count(),
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the table of findings, one row per user, in order; see `findings.py`."""
        with pillow_settings(self._max_pixels):
            return make_findings([self._examine(user) for user in users])

    def _examine(self, user: UserImages) -> UserFindings:
        usable: list[ImageFacts] = []
        failed: dict[int, FailedImage] = {}
        decoded_before = self._examiner.decoded
        for index, (ref, result) in enumerate(self._examine_images(user)):
            if isinstance(result, Reason):
                failed[index] = FailedImage(index, ref.label, result)
            else:
                usable.append(result)
        chosen = choose_frames(len(user.images), self._frames, failed)
        outcome = UserOutcome(
            user.user_id,
            len(user.images) + user.left_out,
            len(chosen.used),
            tuple(failed[index] for index in chosen.failed),
        )
        decoded = self._examiner.decoded - decoded_before
        return UserFindings(outcome, tuple(usable), tuple(failed.values()), decoded)

    def _examine_images(self, user: UserImages) -> Iterator[tuple[ImageRef, ImageFacts | Reason]]:
        encoded = self._reader.read_all(user.images)
        for index, ref in enumerate(user.images):
            with self._clock.timing(Stage.READ):
                data = next(encoded)
            self._observer.end()
            if isinstance(data, Reason):
                yield ref, data
            else:
                with self._compute_slot:
                    self._observer.begin(user.user_id, index)
                    result = self._examiner.examine(bytes(data))
                    self._observer.end()
                yield ref, result


class _ImageExaminer:
    """Examines encoded images one by one, from their headers where these suffice.

    Attributes:
        decoder: The decoder of images whose header does not suffice.
        decoded: The number of images decoded so far.
    """

    def __init__(
        self,
        frames: FrameSize,
        options: PredictorOptions,
        device: torch.device,
        clock: StageClock,
        *,
        full_decode: bool,
    ) -> None:
        # How much of an image is decoded, and so what damage is noticed, depends on the frame.
        decoding = DecodeOptions.of(frames, options)
        self.decoder: FrameDecoder = make_decoder(options.decoder, decoding, device, clock)
        self.decoded = 0
        self._max_pixels = options.max_pixels
        self._full_decode = full_decode
        self._formats = pillow_formats()
        self._clock = clock

    def examine(self, data: bytes) -> ImageFacts | Reason:
        """Return the facts of an image, or the reason why it is unusable."""
        with self._clock.timing(Stage.SCREEN):
            header = None if self._full_decode else self._check_header(data)
            digest = image_digest(data)
        if header is not None:
            return ImageFacts(*header, len(data), digest)
        self.decoded += 1
        (failure,) = self.decoder.decode([data]).failures
        if failure is not None:
            return failure
        return ImageFacts(*identify(data, self._formats), len(data), digest)

    def _check_header(self, data: bytes) -> tuple[str, int, int] | None:
        """Return format, width and height of an image that needs no decoding, otherwise None."""
        if not is_complete(data) or why_excessive(data, self._max_pixels) is not None:
            return None
        name, width, height = identify(data, HEADER_CHECKED_FORMATS)
        if not width or not height or not fits(width, height, self._max_pixels):
            return None
        return name, width, height
