"""The whole of training: check, decode once, split, train, write the run's files."""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tweetprofile.checkpoint import save_checkpoint
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.devices import resolve_device
from tweetprofile.errors import OutputError, TrainingError
from tweetprofile.frames import FrameLoader
from tweetprofile.images import ImageReader
from tweetprofile.manifest import Manifest
from tweetprofile.models import last_trained
from tweetprofile.training.cache import Subset, TrainingSet, decode_manifest
from tweetprofile.training.labels import UNKNOWN, FoundSchema, check_labels, find_schema
from tweetprofile.training.loop import Trainer, TrainObserver
from tweetprofile.training.scores import EpochMetrics
from tweetprofile.training.settings import TrainOptions, write_settings
from tweetprofile.version import __version__

_MODEL = "model.safetensors"
"""The file that a run writes last: a folder without it holds no finished run."""


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What training came to.

    Attributes:
        checkpoint: the best epoch's model.
        best: that epoch.
        users: trained on; `val_users` were set aside, `left_out` had no usable image.
        kept: whether `predict` will use it when none is named.
        seconds: all of it took.
    """

    checkpoint: Path
    best: EpochMetrics
    users: int
    val_users: int
    left_out: int
    kept: bool
    seconds: float


def train_manifest(
    manifest: str | Path,
    run: str | Path,
    options: TrainOptions | None = None,
    observer: TrainObserver | None = None,
    *,
    overwrite: bool = False,
) -> TrainSummary:
    """Train a network on the labelled users of a manifest.

    Args:
        manifest: a Parquet file, a folder of them or a glob, with label columns.
        run: folder that gets `model.safetensors`, `metrics.jsonl` and `train.toml`.
        options: how.
        observer: is told how it goes.
        overwrite: whether the files of an earlier run in `run` may be replaced.

    Raises:
        InputError: manifest, option or output is unusable, before any work.
        TrainingError: no user to learn from, or the loss is not finite.
    """
    began = time.monotonic()
    options, observer = options or TrainOptions(), observer or TrainObserver()
    plan = _check(manifest, run, options, overwrite=overwrite)
    write_settings(plan.folder / "train.toml", manifest, options)
    observer.on_schema(plan.found)
    train, val, left_out = _load_users(plan, observer)
    trainer = Trainer(plan.found.schema, options, plan.device, train, val)
    best = trainer.run(plan.folder / "metrics.jsonl", observer)
    path = plan.folder / _MODEL
    save_checkpoint(path, trainer.network, _describe(best, options, len(train), len(val)))
    kept = _keep_for_predict(path)
    return TrainSummary(path, best, len(train), len(val), left_out, kept, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A training whose every part has been checked and of which nothing has been done."""

    options: TrainOptions
    manifest: Manifest
    validation: Manifest | None
    found: FoundSchema
    device: torch.device
    folder: Path

    def image_root(self, manifest: Manifest) -> Path:
        root = self.options.image_root
        return Path(root) if root else manifest.folder


def _check(
    manifest: str | Path, run: str | Path, options: TrainOptions, *, overwrite: bool
) -> _Plan:
    device = resolve_device(options.devices)
    opened = Manifest.open(manifest)
    validation = Manifest.open(options.val) if options.val else None
    found = find_schema(opened, options.schema)
    for each in filter(None, (opened, validation)):
        check_labels(each, found.schema)
    folder = _prepare_folder(Path(run), overwrite=overwrite)
    return _Plan(options, opened, validation, found, device, folder)


def _load_users(plan: _Plan, observer: TrainObserver) -> tuple[Subset, Subset, int]:
    """Users to train on, users set aside, and how many were left out."""
    whole = _decode(plan, plan.manifest, observer)
    if plan.validation is None:
        train, val = _split(whole, plan.options)
    else:
        held_out = _decode(plan, plan.validation, observer)
        train, val = whole.take(np.arange(len(whole))), held_out.take(np.arange(len(held_out)))
    if not (train.labels != UNKNOWN).any():
        raise TrainingError(
            f"{plan.manifest.source} has no user with a label and a usable image to learn from; "
            f"images are looked for under {plan.image_root(plan.manifest)} (--image-root)."
        )
    return train, val, whole.left_out


def _decode(plan: _Plan, manifest: Manifest, observer: TrainObserver) -> TrainingSet:
    spec = plan.options.volume_spec
    sizes = DecodeOptions(spec.height, spec.width)
    decoder = make_decoder(plan.options.decoder, sizes, plan.device)
    loader = FrameLoader(ImageReader(plan.image_root(manifest)), decoder, spec)
    schema, folder = plan.found.schema, plan.folder
    return decode_manifest(manifest, schema, spec, loader, folder, observer.on_decoded)


def _split(whole: TrainingSet, options: TrainOptions) -> tuple[Subset, Subset]:
    """Users to train on and users set aside, by the seed."""
    order = np.random.default_rng(options.seed).permutation(len(whole))
    aside = round(len(whole) * options.val_fraction)
    return whole.take(np.sort(order[aside:])), whole.take(np.sort(order[:aside]))


def _prepare_folder(folder: Path, *, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the run.")
    if (folder / _MODEL).exists() and not overwrite:
        raise OutputError(
            f"{folder} holds a finished run already ({_MODEL}); choose another folder or add "
            "--overwrite."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another.") from error
    return folder


def _describe(best: EpochMetrics, options: TrainOptions, users: int, val: int) -> dict[str, Any]:
    """What a checkpoint says of its training."""
    return {
        "version": __version__,
        "users": users,
        "val_users": val,
        "epochs": options.epochs,
        "best": asdict(best),
        "options": asdict(options),
    }


def _keep_for_predict(checkpoint: Path) -> bool:
    """Keep a copy for `predict` to use when none is named; whether that was possible."""
    kept = last_trained()
    unfinished = kept.with_suffix(".tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkpoint, unfinished)
        unfinished.replace(kept)
    except OSError:
        return False
    return True
