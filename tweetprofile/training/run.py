"""The whole of training: check, decode once, split, train, calibrate, write the run's files."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tweetprofile.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tweetprofile.devices import resolve_devices
from tweetprofile.errors import CheckpointError, OptionError, OutputError, TrainingError
from tweetprofile.fields import FieldError, Reader, mapping_of, read_known, whole
from tweetprofile.images import ImageReader
from tweetprofile.manifest import Manifest
from tweetprofile.networks import NetworkSpec
from tweetprofile.place import reads_of
from tweetprofile.protection import Reads
from tweetprofile.storage import AnyPath, as_path
from tweetprofile.training.cache import CacheOptions, CacheSource, Subset, open_cache
from tweetprofile.training.calibration import Calibration, calibrate, read_calibration
from tweetprofile.training.card import CARD, make_card
from tweetprofile.training.distributed import all_ranks
from tweetprofile.training.folder import (
    MODEL,
    FolderOptions,
    goes_on,
    keep_for_predict,
    prepare_folder,
    write_card,
)
from tweetprofile.training.labels import (
    UNKNOWN,
    FoundSchema,
    check_labels,
    find_schema,
    read_labels,
)
from tweetprofile.training.loop import Trainer, TrainingSetup, TrainObserver, train_rank
from tweetprofile.training.scores import EpochMetrics, read_metrics
from tweetprofile.training.settings import SETTINGS, TrainOptions, write_settings
from tweetprofile.training.split import split_users
from tweetprofile.training.state import STATE, TrainingState, require_same
from tweetprofile.training.writing import writing
from tweetprofile.version import __version__


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What training came to.

    Attributes:
        checkpoint: the model of the epochs that were kept.
        kept_epochs: these, one a member.
        best: the last of them, with the scores of all together.
        users: trained on; `val_users` were set aside, `left_out` had no usable image, `unlabelled`
            no label.
        calibration: by trait, on the users set aside.
        kept: whether `predict` will use it when none is named.
        seconds: all of it took.
    """

    checkpoint: Path
    kept_epochs: tuple[int, ...]
    best: EpochMetrics
    users: int
    val_users: int
    left_out: int
    unlabelled: int
    calibration: Mapping[str, Calibration]
    kept: bool
    seconds: float


def train_manifest(
    manifest: str | Path,
    run: str | Path,
    options: TrainOptions | None = None,
    observer: TrainObserver | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    config: Path | None = None,
) -> TrainSummary:
    """Train a network on the labelled users of a manifest.

    Args:
        manifest: a Parquet file, a folder of them or a glob, with label columns.
        run: folder that gets `model.safetensors`, `MODEL_CARD.md`, `metrics.jsonl` and
            `train.toml`.
        options: how.
        observer: is told how it goes.
        overwrite: whether the files of an earlier run in `run` may be replaced.
        resume: whether to go on with an unfinished run in `run`, where there is one.
        config: file that the options were read from, which is not replaced; None for none.

    Raises:
        InputError: manifest, option or output is unusable, before any work.
        TrainingError: no user to learn from, or the loss is not finite.
        WriteError: a disk is full.
    """
    began = time.monotonic()
    observer = observer or TrainObserver()
    wanted = FolderOptions(overwrite, resume, config)
    plan = _check(manifest, Path(run), options or TrainOptions(), wanted)
    if resume and (finished := _finished(plan)) is not None:
        return finished
    if not goes_on(plan.folder, wanted):  # else they stand there, and are the same
        write_settings(plan.folder / SETTINGS, manifest, plan.options)
    observer.on_schema(plan.found)
    users = _load_users(plan, observer)
    setup = _set_up(plan, users, resume=resume)
    with all_ranks(plan.devices, train_rank, setup) as rank:
        trainer = Trainer(setup, rank, observer)
        best = trainer.run()
    calibration = _calibrate(trainer, setup)
    summary = TrainSummary(
        plan.folder / MODEL,
        trainer.kept_epochs,
        best,
        len(users.train),
        len(users.val),
        users.left_out,
        users.unlabelled,
        calibration,
        kept=False,
        seconds=time.monotonic() - began,
    )
    return _write_model(summary, plan, setup, trainer, users.warnings)


def _write_model(
    summary: TrainSummary,
    plan: "_Plan",
    setup: TrainingSetup,
    trainer: Trainer,
    warnings: tuple[str, ...],
) -> TrainSummary:
    """Write the model card and the model, after which the state of the training is not needed."""
    temperatures = {name: each.temperature for name, each in summary.calibration.items()}
    training = {**_describe(summary, plan), "warnings": warnings}
    card = make_card(setup.network, setup.volume_spec, setup.schema, training)
    write_card(plan.folder / CARD, card)
    with writing(summary.checkpoint):
        save_checkpoint(summary.checkpoint, trainer.result, training, temperatures)
        (plan.folder / STATE).unlink(missing_ok=True)
    return replace(summary, kept=keep_for_predict(summary.checkpoint, plan.reads))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A training whose every part has been checked and of which nothing has been done."""

    options: TrainOptions
    network: NetworkSpec
    manifest: Manifest
    validation: Manifest | None
    found: FoundSchema
    devices: list[torch.device]
    cache: CacheOptions
    folder: Path
    settings: Mapping[str, Any]
    reads: Reads


@dataclass(frozen=True, slots=True)
class _Users:
    """Users to train on, users set aside, and how many are neither, and why."""

    train: Subset
    val: Subset
    left_out: int
    unlabelled: int
    warnings: tuple[str, ...]


def _check(manifest: str | Path, run: Path, options: TrainOptions, wanted: FolderOptions) -> _Plan:
    devices = resolve_devices(options.devices)
    network, recipe = options.network_spec, options.resolved_recipe
    if recipe.batch_size < len(devices):
        raise OptionError(
            f"--devices {options.devices}: {len(devices)} processes cannot share batches of "
            f"{recipe.batch_size}; raise --batch-size."
        )
    if options.init is not None and not Path(options.init).exists():
        raise CheckpointError(f"--init {options.init} does not exist; give a safetensors file.")
    cache = CacheOptions(Path(options.cache) if options.cache else None, options.cache_gb)
    opened = Manifest.open(manifest)
    validation = Manifest.open(options.val) if options.val else None
    found = find_schema(opened, options.schema)
    for each in filter(None, (opened, validation)):
        check_labels(each, found.schema)
        ImageReader(_image_root(options, each))
    reads = _reads(options, opened, validation)
    folder = prepare_folder(run, reads, wanted)
    options = options.resolved
    settings = _settings(options, opened, found)
    plan = _Plan(
        options, network, opened, validation, found, devices, cache, folder, settings, reads
    )
    if wanted.resume and (state := TrainingState.load(folder)) is not None:
        require_same(plan.settings, state.settings, folder)
    return plan


def _reads(options: TrainOptions, manifest: Manifest, validation: Manifest | None) -> Reads:
    """What the run reads, and its outputs never replace."""
    reads = reads_of(manifest, _image_root(options, manifest))
    if validation is not None:
        reads += reads_of(validation, _image_root(options, validation))
    init = Path(options.init) if options.init else None
    schema = Path(options.schema) if Path(options.schema).is_file() else None
    return reads + Reads.of(initial_weights=init, schema=schema)


def _settings(options: TrainOptions, manifest: Manifest, found: FoundSchema) -> dict[str, Any]:
    """What a run that goes on must have in common with the one it goes on with."""
    free = ("devices", "cache", "cache_gb")
    told = {name: value for name, value in asdict(options).items() if name not in free}
    return {**told, "manifest": manifest.fingerprint(), "schema": found.schema.to_dict()}


def _image_root(options: TrainOptions, manifest: Manifest) -> AnyPath:
    return as_path(options.image_root) if options.image_root else manifest.folder


def _set_up(plan: _Plan, users: _Users, *, resume: bool) -> TrainingSetup:
    options = plan.options
    return TrainingSetup(
        plan.network,
        options.volume_spec,
        plan.found.schema,
        options.resolved_recipe,
        users.train,
        users.val,
        options.seed,
        options.minutes,
        Path(options.init) if options.init else None,
        plan.folder,
        plan.settings,
        resume,
    )


def _load_users(plan: _Plan, observer: TrainObserver) -> _Users:
    whole, left_out, unlabelled = _decode(plan, plan.manifest, observer)
    if not len(whole):
        root = _image_root(plan.options, plan.manifest)
        raise TrainingError(
            f"{plan.manifest.source} has no user with a label and a usable image to learn from; "
            f"images are looked for under {root} (--image-root)."
        )
    if plan.validation is None:
        parts = split_users(whole.labels, plan.options.val_fraction, plan.options.seed)
        train, val = (whole.take(positions) for positions in parts)
    else:
        train, (val, _, _) = whole, _decode(plan, plan.validation, observer)
    warnings = tuple(filter(None, [_share_images(train, val)]))
    for warning in warnings:
        observer.on_warning(warning)
    return _Users(train, val, left_out, unlabelled, warnings)


def _decode(plan: _Plan, manifest: Manifest, observer: TrainObserver) -> tuple[Subset, int, int]:
    """All users with a frame and a label; how many have no frame, and how many only no label."""
    for remark in manifest.remarks:
        observer.on_warning(remark)
    options = plan.options
    root, kind = _image_root(options, manifest), plan.devices[0].type
    source = CacheSource.of(manifest, root, options.volume_spec, options.decoder, kind)
    cache = open_cache(source, plan.cache, observer.on_decoded)
    labels = read_labels(manifest, plan.found.schema)
    seen, labelled = cache.counts > 0, (labels != UNKNOWN).any(axis=1)
    everyone = Subset(cache, np.arange(len(labels)), labels)
    usable = everyone.take(np.flatnonzero(seen & labelled))
    return usable, int((~seen).sum()), int((seen & ~labelled).sum())


def _share_images(train: Subset, val: Subset) -> str | None:
    """A warning where users set aside have images of those to train on."""
    shared = np.intersect1d(train.hashes, val.hashes)
    if not len(shared):
        return None
    hashes = val.cache.hashes
    users = sum(
        bool(np.isin(hashes[val.frames_of(position)], shared).any()) for position in range(len(val))
    )
    return (
        f"{len(shared):,} images of users to train on are those of {users:,} of the {len(val):,} "
        "users set aside, too: scores on them are flattered."
    )


def _calibrate(trainer: Trainer, setup: TrainingSetup) -> dict[str, Calibration]:
    val = setup.val
    if not len(val):
        return {}
    calibrations = {}
    for column, (name, logits) in enumerate(trainer.judge(val).items()):
        labels = torch.from_numpy(val.labels[:, column])
        known = labels != UNKNOWN
        calibrations[name] = calibrate(logits[known], labels[known])
    return calibrations


def _finished(plan: _Plan) -> TrainSummary | None:
    """The summary of a run that has nothing left to do."""
    path = plan.folder / MODEL
    if not path.exists():
        return None
    checkpoint = load_checkpoint(path)
    require_same(plan.settings, checkpoint.training.get("settings", {}), plan.folder)
    return _recall(checkpoint)


def _recall(checkpoint: Checkpoint) -> TrainSummary:
    facts = checkpoint.training
    counts = dict.fromkeys(("users", "val_users", "left_out", "unlabelled"), whole)
    readers: dict[str, Reader] = {
        **counts,
        "calibration": mapping_of(read_calibration),
        "best": read_metrics,
    }
    try:
        found = read_known(facts, "training", readers, readers)
    except FieldError as error:
        raise OutputError(
            f"{checkpoint.path} does not say how it was trained ({error}); train with --overwrite."
        ) from None
    epochs = tuple(facts.get("kept_epochs", [found["best"].epoch]))
    return TrainSummary(checkpoint.path, epochs, **found, kept=True, seconds=0.0)


def _describe(summary: TrainSummary, plan: _Plan) -> dict[str, Any]:
    """What a checkpoint says of its training."""
    return {
        "version": __version__,
        "users": summary.users,
        "val_users": summary.val_users,
        "left_out": summary.left_out,
        "unlabelled": summary.unlabelled,
        "epochs": plan.options.epochs,
        "seconds": summary.seconds,
        "kept_epochs": summary.kept_epochs,
        "best": asdict(summary.best),
        "calibration": {name: asdict(each) for name, each in summary.calibration.items()},
        "settings": plan.settings,
    }
