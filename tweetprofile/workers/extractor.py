"""Users in, a table of their frames out, on one device; training caches these tables."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import torch

from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.job import FrameSize, PredictorOptions, WorkerFacts
from tweetprofile.stages import Stage, StageClock
from tweetprofile.workers.devices import default_batch_size, resolve_device
from tweetprofile.workers.feature_rows import make_frame_rows
from tweetprofile.workers.frames import FrameLoader
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.profiles import UserOutcome


class FrameExtractor:
    """Decodes the frames of users on one device.

    Args:
        frames: The number of frames per user, and their size.
        options: Where the images are, and how to decode them.
        compute_slot: The context entered to decode and left to read; None for no limit.
        observer: The observer that learns which image is being decoded. Without a supervisor that
            acts on it, only the image's header bounds the time that an image may take.

    Raises:
        OptionError: The machine lacks the device or decoder, or the image root is not a folder.
    """

    def __init__(
        self,
        frames: FrameSize,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        device = resolve_device(options.device)
        self._clock = StageClock()
        decoding = DecodeOptions.of(frames, options)
        decoder = make_decoder(options.decoder, decoding, device, self._clock)
        in_place = decoder.host_turn is not None
        reader = ImageReader(options.image_root, options.max_image_bytes, writable=in_place)
        self._loader = FrameLoader(
            reader,
            decoder,
            frames,
            clock=self._clock,
            compute_slot=compute_slot,
            observer=observer,
            digests=True,
        )
        batch_size = options.batch_size or default_batch_size(device)
        self.facts = WorkerFacts(
            device=device.type,
            decoder=decoder.name,
            batch_size=batch_size,
            cuda_devices=torch.cuda.device_count(),
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the outcome and the pixels of each user's images, one row per user, in order."""
        loaded = self._loader.load(users)
        with self._clock.timing(Stage.PROFILE):
            pixels = [user.frames_FHWC.cpu().numpy().tobytes() for user in loaded]
            digests = [np.array(user.digests, np.uint64).tobytes() for user in loaded]
            return make_frame_rows(list(map(UserOutcome.of, loaded)), pixels, digests)
