"""Users in, what each of their images is out: for `inspect`, which looks at all of them.

An ordinary image (JPEG, PNG or WebP) that is whole and within the caps is not decoded: its header
vouches for it, at a hundredth of the time, and only damage inside its pixel data is missed. Every
other image is really decoded, so that the verdict on it is what `predict` says.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa
import torch
from PIL import Image

from tweetprofile.data.images.digests import image_digest
from tweetprofile.data.images.reader import FailedImage, ImageReader
from tweetprofile.data.manifests.manifest import ImageRef, UserImages
from tweetprofile.decoders import DecodeOptions, FrameDecoder, make_decoder
from tweetprofile.decoders.bounds import fits, why_excessive
from tweetprofile.decoders.pillow import allowed_formats
from tweetprofile.decoders.screening import is_complete
from tweetprofile.errors import Reason
from tweetprofile.job import PredictorOptions, WorkerFacts
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.choice import choose_frames
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.devices import resolve_device
from tweetprofile.workers.findings import ImageFacts, UserFindings, make_findings
from tweetprofile.workers.observers import ImageObserver, NullObserver
from tweetprofile.workers.profiles import UserOutcome

_VOUCHED_FORMATS = ("JPEG", "PNG", "WEBP")
"""What `is_complete` knows of; Pillow calls a JPEG of several pictures MPO."""

_UNNAMED = "other"

_BATCH_SIZE = 16
"""Users that a call should have: what a task costs by itself is then a hundredth of it."""


class Examiner:
    """Finds out what users' images are.

    Args:
        frames: of a volume: what `predict` would make of a user depends on it.
        full_decode: whether images are decoded that their headers vouch for.
        options: where images are, and the caps.
        compute_slot: entered to compute, and left to read.
        observer: is told which image is being looked at. Without a supervisor that acts on it, nothing
            bounds the time of an image but what its header shows.

    Raises:
        OptionError: the machine lacks the device or decoder, or the image root is no folder.
    """

    def __init__(
        self,
        frames: int,
        full_decode: bool,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        device = resolve_device(options.device)
        self._clock = StageClock()
        self._compute_slot = compute_slot or nullcontext()
        self._observer = observer or NullObserver()
        self._frames = frames
        self._reader = ImageReader(options.image_root, options.max_image_bytes)
        self._judge = _Judge(options, device, self._clock, full_decode=full_decode)
        self.facts = WorkerFacts(
            device=device.type,
            decoder=self._judge.decoder.name,
            batch_size=_BATCH_SIZE,
            cuda_devices=torch.cuda.device_count(),
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Where the time of the calls since the last time went."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """What was found, a row a user, in order; see `findings.py`."""
        return make_findings([self._examine(user) for user in users])

    def _examine(self, user: UserImages) -> UserFindings:
        usable: list[ImageFacts] = []
        failed: dict[int, FailedImage] = {}
        decoded = self._judge.decoded
        for index, (ref, verdict) in enumerate(self._verdicts(user)):
            if isinstance(verdict, Reason):
                failed[index] = FailedImage(index, ref.label, verdict)
            else:
                usable.append(verdict)
        chosen = choose_frames(len(user.images), self._frames, failed)
        outcome = UserOutcome(
            user.user_id,
            len(user.images) + user.left_out,
            len(chosen.used),
            tuple(failed[index] for index in chosen.missed),
        )
        decoded = self._judge.decoded - decoded
        return UserFindings(outcome, tuple(usable), tuple(failed.values()), decoded)

    def _verdicts(self, user: UserImages) -> Iterator[tuple[ImageRef, ImageFacts | Reason]]:
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
                    verdict = self._judge.judge(data)
                    self._observer.end()
                yield ref, verdict


class _Judge:
    """Says of an encoded image what it is, or why it is of no use.

    Attributes:
        decoder: what decodes those that no header vouches for.
        decoded: how many those were.
    """

    def __init__(
        self,
        options: PredictorOptions,
        device: torch.device,
        clock: StageClock,
        *,
        full_decode: bool,
    ) -> None:
        # What a scaled decode finds may depend on its scale, so frames are of the usual size.
        usual = VolumeSpec()
        sizes = DecodeOptions(usual.height, usual.width, options.max_pixels, options.threads)
        self.decoder: FrameDecoder = make_decoder(options.decoder, sizes, device, clock)
        self.decoded = 0
        self._max_pixels = options.max_pixels
        self._full_decode = full_decode
        self._formats = allowed_formats()
        self._clock = clock

    def judge(self, data: bytes) -> ImageFacts | Reason:
        """What an image is."""
        with self._clock.timing(Stage.SCREEN):
            vouched = None if self._full_decode else self._screen(data)
            digest = image_digest(data)
        if vouched is not None:
            return ImageFacts(*vouched, len(data), digest)
        self.decoded += 1
        (failure,) = self.decoder.decode([data]).failures
        if failure is not None:
            return failure
        return ImageFacts(*_identify(data, self._formats), len(data), digest)

    def _screen(self, data: bytes) -> tuple[str, int, int] | None:
        """Format, width and height of an image that its header and its ends vouch for."""
        if not is_complete(data) or why_excessive(data, self._max_pixels) is not None:
            return None
        name, width, height = _identify(data, _VOUCHED_FORMATS)
        if not width or not height or not fits(width, height, self._max_pixels):
            return None
        return name, width, height


def _identify(data: bytes, formats: tuple[str, ...]) -> tuple[str, int | None, int | None]:
    """Format, width and height by Pillow's reading of the header."""
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return image.format or _UNNAMED, image.width, image.height
    except Exception:  # Pillow's plugins raise whatever broken bytes make them raise.
        return _UNNAMED, None, None
