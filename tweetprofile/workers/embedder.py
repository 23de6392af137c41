"""Users in, a table of their images' embeddings out, on one device.

Training caches these tables, and `embed` writes them.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.errors import OptionError
from tweetprofile.job import EmbedderFacts, FrameSize, PredictorOptions
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.devices import (
    exact_numerics,
    is_out_of_memory,
    precision_name,
    resolve_device,
    resolve_precision,
)
from tweetprofile.workers.embedding import embedding_batch_size, shared_embedder
from tweetprofile.workers.feature_rows import EmbeddedUser, make_embedding_rows
from tweetprofile.workers.frames import FrameLoader, UserFrames
from tweetprofile.workers.observers import ImageObserver, NullObserver
from tweetprofile.workers.profiles import UserOutcome


class Embedder:
    """Embeds the images of users on one device.

    Args:
        backbone: The backbone, and the frames that it takes.
        frames: The largest number of frames per user; None for that of the backbone's model.
        options: Where the images are, and how to decode and embed them.
        compute_slot: The context entered to compute and left to read; None for no limit.
        observer: The observer that learns which image is being decoded. Without a supervisor that
            acts on it, only the image's header bounds the time that an image may take.

    Raises:
        OptionError: The machine lacks the device or decoder, or the image root is not a folder.
            During a call: the device has too little memory.
        CheckpointError: The backbone's numbers overflow during a call.
    """

    def __init__(
        self,
        backbone: Backbone,
        frames: int | None,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        device = resolve_device(options.device)
        self._device, self._observer = device, observer or NullObserver()
        self._precision = resolve_precision(options.precision, device)
        self._compute_slot = compute_slot or nullcontext()
        self._clock = StageClock()
        used = backbone.with_detail(options.detail)
        spec = used.volume_spec
        self._embedder = shared_embedder(
            used,
            device=device,
            precision=self._precision,
            views=VIEWS[: options.views],
        )
        self._store = None
        if options.embedding_cache is not None:
            self._store = self._embedder.open_store(
                options.embedding_cache, options.embedding_cache_gb
            )
        wanted = FrameSize(frames or spec.frames, spec.height, spec.width)
        decoding = DecodeOptions.of(wanted, replace(options, detail=spec.detail))
        decoder = make_decoder(options.decoder, decoding, device, self._clock)
        in_place = decoder.host_turn is not None
        reader = ImageReader(options.image_root, options.max_image_bytes, writable=in_place)
        self._loader = FrameLoader(
            reader,
            decoder,
            wanted,
            clock=self._clock,
            compute_slot=compute_slot,
            observer=observer,
            digests=True,
        )
        self.facts = EmbedderFacts(
            device=device.type,
            decoder=decoder.name,
            batch_size=options.batch_size or embedding_batch_size(device),
            cuda_devices=torch.cuda.device_count(),
            backbone=backbone.name,
            backbone_digest=backbone.digest,
            features=backbone.features,
            size=wanted,
            precision=precision_name(self._precision),
            detail=spec.detail,
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the outcome and the embeddings of each user's images, one row per user."""
        loaded = self._loader.load(users)
        embeddings = self._embed(torch.cat([user.frames_FHWC for user in loaded]))
        with self._clock.timing(Stage.PROFILE):
            ends = np.cumsum([len(user.frames_FHWC) for user in loaded])[:-1]
            each = np.split(embeddings.numpy(), ends)
            rows = [_row(user, part) for user, part in zip(loaded, each, strict=True)]
            return make_embedding_rows(list(map(UserOutcome.of, loaded)), rows)

    def _embed(self, frames_MHWC: torch.Tensor) -> torch.Tensor:
        try:
            with (
                self._compute_slot,
                self._clock.timing(Stage.FORWARD),
                exact_numerics(self._device, self._precision),
            ):
                return self._embedder.embed(frames_MHWC, self._observer, self._store)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise OptionError(
                    "the device has too little memory for the backbone; use another of `devices`, "
                    "or a smaller backbone."
                ) from error
            raise


def _row(user: UserFrames, embeddings_FVC: np.ndarray) -> EmbeddedUser:
    return EmbeddedUser(
        indexes=np.array(user.indexes, np.int32).tobytes(),
        embeddings=embeddings_FVC.tobytes(),
        digests=np.array(user.digests, np.uint64).tobytes(),
    )
