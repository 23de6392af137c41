"""The whole of training: check, decode once, split, train, write the run's files."""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tweetprofile import __version__
from tweetprofile.checkpoint import last_trained, save_checkpoint
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.devices import resolve_device
from tweetprofile.errors import OutputError, TrainingError
from tweetprofile.frames import FrameLoader
from tweetprofile.images import ImageReader
from tweetprofile.manifest import Manifest
from tweetprofile.training.cache import Subset, TrainingSet, decode_manifest
from tweetprofile.training.labels import UNKNOWN, check_labels, find_schema
from tweetprofile.training.loop import Trainer, TrainObserver
from tweetprofile.training.scores import EpochMetrics
from tweetprofile.training.settings import TrainOptions, write_settings
from tweetprofile.traits import TraitSchema

_RUN_FILES = ("model.safetensors", "metrics.jsonl", "train.toml")


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What training came to.

    Attributes:
        checkpoint: the best epoch's model.
        best: that epoch.
        users: trained on; `val_users` were set aside, `left_out` had no usable image.
    """

    checkpoint: Path
    best: EpochMetrics
    users: int
    val_users: int
    left_out: int
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
    device = resolve_device(options.devices)
    opened = Manifest.open(manifest)
    validation = Manifest.open(options.val) if options.val else None
    found = find_schema(opened, options.schema)
    for each in filter(None, (opened, validation)):
        check_labels(each, found.schema)
    folder = _prepare_folder(Path(run), overwrite=overwrite)
    write_settings(folder / "train.toml", manifest, options)
    observer.on_schema(found)

    whole = _decode(opened, found.schema, options, device, folder, observer)
    if validation is None:
        train, val = _split(whole, options)
    else:
        train = whole.take(np.arange(len(whole)))
        held_out = _decode(validation, found.schema, options, device, folder, observer)
        val = held_out.take(np.arange(len(held_out)))
    if not len(train) or not (train.labels != UNKNOWN).any():
        raise TrainingError(
            f"{manifest} has no user with a label and a usable image to learn from."
        )

    trainer = Trainer(found.schema, options, device, train, val)
    best = trainer.run(folder / "metrics.jsonl", observer)
    path = folder / "model.safetensors"
    save_checkpoint(path, trainer.network, _describe(best, options, len(train), len(val)))
    _remember(path)
    seconds = time.monotonic() - began
    return TrainSummary(path, best, len(train), len(val), whole.left_out, seconds)


def _decode(
    manifest: Manifest,
    schema: TraitSchema,
    options: TrainOptions,
    device: torch.device,
    folder: Path,
    observer: TrainObserver,
) -> TrainingSet:
    spec = options.volume_spec
    root = Path(options.image_root) if options.image_root else manifest.folder
    decoder = make_decoder(options.decoder, DecodeOptions(spec.height, spec.width), device)
    loader = FrameLoader(ImageReader(root), decoder, spec)
    return decode_manifest(manifest, schema, spec, loader, folder, observer.on_decoded)


def _split(whole: TrainingSet, options: TrainOptions) -> tuple[Subset, Subset]:
    """Users to train on and users set aside, by the seed."""
    order = np.random.default_rng(options.seed).permutation(len(whole))
    aside = round(len(whole) * options.val_fraction)
    return whole.take(np.sort(order[aside:])), whole.take(np.sort(order[:aside]))


def _prepare_folder(folder: Path, *, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the run.")
    existing = [name for name in _RUN_FILES if (folder / name).exists()]
    if existing and not overwrite:
        raise OutputError(
            f"{folder} holds a run already ({', '.join(existing)}); choose another folder or add "
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


def _remember(checkpoint: Path) -> None:
    """Keep a copy for `predict` to use when none is named."""
    kept = last_trained()
    kept.parent.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(".tmp")
    shutil.copyfile(checkpoint, unfinished)
    unfinished.replace(kept)
