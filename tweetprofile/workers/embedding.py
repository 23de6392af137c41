"""Frames in, embeddings out: a pretrained backbone looks at each frame once.

An embedding is rounded to float16, wherever it is used: to predict, to train a head, or to be
exported. It depends on the pixels of its frame only: frames are computed in groups of one size, in
which no bit of a result depends on the other frames (`tests/workers/test_embedding.py`). A frame
that occurs again is not computed again.

Shapes: M frames, C features, V views, H, W.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import nn

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import use_channels_last
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.views import View
from tweetprofile.workers.devices import precision_name
from tweetprofile.workers.embedding_store import Embeddings, EmbeddingStore, frame_key, shared_store
from tweetprofile.workers.observers import ImageObserver, NullObserver

_GROUPS = {"cpu": 16, "cuda": 256}
"""The largest number of frames that are computed together."""

_GROUP_PIXELS = 16 * 128 * 128
"""The largest number of pixels that a CPU computes together. Activations of more leave the caches,
and are given back to the system after each layer: at 224 pixels, groups of 4 frames are 1.4 times
as fast as groups of 16 (2026-11-29, efficientnet-lite0)."""

_BATCH_SIZES = {"cpu": 16, "cuda": 64}
"""The default number of users per batch. 16 users with 11 images each fill eleven groups."""

_STORE_FORMAT = 3
"""The version of stored embeddings; those of other versions, with other last bits, are not used."""

_LARGEST = float(torch.finfo(torch.float16).max)


def group_size(device: torch.device, spec: VolumeSpec) -> int:
    """Return the number of frames of a size that a device computes together."""
    most = _GROUPS[device.type]
    if device.type == "cuda":
        return most
    fitting = max(1, _GROUP_PIXELS // (spec.height * spec.width))
    return min(most, 1 << (fitting.bit_length() - 1))


def embedding_batch_size(device: torch.device) -> int:
    """Return the number of users whose images a device embeds best at a time."""
    return _BATCH_SIZES[device.type]


class FrameEmbedder:
    """Embeds frames on one device; several threads may share it.

    Args:
        backbone: The backbone, whose network is moved to the device.
        device: The device.
        precision: The floating-point type that the backbone computes in.
        views: The views to embed.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        device: torch.device,
        precision: torch.dtype,
        views: Sequence[View],
    ) -> None:
        self._spec: VolumeSpec = backbone.volume_spec
        self._name = backbone.name
        self._digest = backbone.digest
        self._device, self._precision, self._views = device, precision, tuple(views)
        self.features = backbone.features
        self._network: nn.Module = backbone.network.to(device, dtype=precision)
        use_channels_last(self._network)
        self._group = group_size(device, self._spec)

    @property
    def size(self) -> int:
        """The length of a frame's embedding in all views."""
        return len(self._views) * self.features

    def open_store(self, root: Path, gigabytes: float) -> EmbeddingStore:
        """Return the store, in a folder of `root`, of embeddings that this embedder would compute.

        Args:
            root: The folder of the stores of all backbones.
            gigabytes: The size at which this process stops adding to the store.
        """
        facts = {
            "format": _STORE_FORMAT,
            "backbone": self._digest,
            "device": self._device.type,
            "precision": precision_name(self._precision),
            "views": [(view.mirrored, view.middle) for view in self._views],
            "torch": torch.__version__,
        }
        name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        return shared_store(root / name, self.size, gigabytes)

    def embed(
        self,
        frames_MHWC: torch.Tensor,
        observer: ImageObserver | None = None,
        store: EmbeddingStore | None = None,
    ) -> torch.Tensor:
        """Return the embeddings of frames: (M, V, C) float16 on the CPU.

        Args:
            frames_MHWC: The frames, uint8 on any device.
            observer: The observer that learns of every computed group.
            store: The embeddings that are known; new ones are added.

        Raises:
            CheckpointError: An embedding is not finite.
        """
        first, places = _distinct(frames_MHWC)
        distinct = frames_MHWC[first.to(frames_MHWC.device)]
        results = np.empty((len(first), self.size), np.float16)
        unknown, keys = list(range(len(first))), []
        if store is not None:
            keys = [frame_key(each) for each in distinct.cpu().numpy()]
            found = [store.find(key) for key in keys]
            for number, vector in enumerate(found):
                if vector is not None:
                    results[number] = vector
            unknown = [number for number, vector in enumerate(found) if vector is None]
        if unknown:
            results[unknown] = self._compute(distinct[unknown], observer or NullObserver())
        if store is not None and unknown:
            store.add([keys[number] for number in unknown], results[unknown])
        return torch.from_numpy(results)[places].view(-1, len(self._views), self.features)

    @torch.inference_mode()
    def _compute(self, frames_MHWC: torch.Tensor, observer: ImageObserver) -> Embeddings:
        """Embed frames in groups of one size, of which the last is filled up with blank frames."""
        rows = []
        for start in range(0, len(frames_MHWC), self._group):
            frames = frames_MHWC[start : start + self._group].to(self._device)
            group = frames.new_zeros(self._group, *frames.shape[1:])
            group[: len(frames)] = frames
            volumes = self._spec.normalise(group[:, None], self._precision)
            views = [self._network(view.apply(volumes)[:, :, 0]).float() for view in self._views]
            rows.append(torch.stack(views, 1)[: len(frames)].flatten(1).cpu())
            observer.end()
        embeddings = torch.cat(rows).numpy()
        if not np.isfinite(embeddings).all():
            exact = self._precision == torch.float32
            remedy = "use other weights" if exact else 'pass `precision="fp32"`'
            raise CheckpointError(
                f"the backbone {self._name} gives embeddings that are not numbers, because its "
                f"weights are too large to compute with; {remedy}."
            )
        return embeddings.clip(-_LARGEST, _LARGEST).astype(np.float16)


def _distinct(frames_MHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the frames that are not equal to an earlier one.

    Returns:
        The numbers of the distinct frames, and for each frame its place among them, on the CPU.
    """
    flat = frames_MHWC.flatten(1)
    words = flat[:, : flat.shape[1] // 8 * 8].contiguous().view(torch.int64)
    random = torch.Generator().manual_seed(0)
    factors = torch.randint(-(1 << 62), 1 << 62, words.shape[1:], generator=random)
    sums = (words * factors.to(words.device)).sum(1).cpu().numpy()
    _, first_of_group, group = np.unique(sums, return_index=True, return_inverse=True)
    first = torch.from_numpy(first_of_group[group])
    # Equal sums do not prove that frames are equal.
    equal = (flat == flat[first.to(flat.device)]).all(1).cpu().numpy()
    kept, places = np.unique(np.where(equal, first, np.arange(len(flat))), return_inverse=True)
    return torch.from_numpy(kept), torch.from_numpy(places)


_embedders: dict[tuple[str, torch.device, torch.dtype, tuple[View, ...]], FrameEmbedder] = {}
_embedders_lock = Lock()


def shared_embedder(
    backbone: Backbone, *, device: torch.device, precision: torch.dtype, views: Sequence[View]
) -> FrameEmbedder:
    """Return the embedder of a backbone, which the threads of this process share.

    A large backbone would otherwise take its memory once per thread.

    Args:
        backbone: The backbone.
        device: The device.
        precision: The floating-point type that the backbone computes in.
        views: The views to embed.
    """
    with _embedders_lock:
        key = (backbone.digest, device, precision, tuple(views))
        if key not in _embedders:
            _embedders[key] = FrameEmbedder(
                backbone, device=device, precision=precision, views=views
            )
        return _embedders[key]
