"""The whole of training: check, decode once, split, train, calibrate, write the run's files."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath, as_path
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.labels.reading import (
    UNKNOWN,
    FoundSchema,
    check_labels,
    find_schema,
    read_labels,
)
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import CheckpointError, OptionError, TrainingError
from tweetprofile.networks import NetworkSpec
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import score_traits
from tweetprofile.training.cache import CacheOptions, CacheSource, Subset, open_cache
from tweetprofile.training.calibration import TemperatureFit, calibrate
from tweetprofile.training.card import CARD, make_card
from tweetprofile.training.distributed import all_ranks
from tweetprofile.training.folder import (
    FolderOptions,
    fold_folder,
    goes_on,
    prepare_folder,
    write_card,
)
from tweetprofile.training.folds import FoldSummary, make_folds, read_folds, summarise, write_folds
from tweetprofile.training.loop import Trainer, TrainingSetup, TrainObserver, train_rank
from tweetprofile.training.seen import what_was_seen
from tweetprofile.training.setting_aside import (
    Parts,
    set_aside,
    warn_of_few_users,
    warn_of_shared_images,
)
from tweetprofile.training.settings import SETTINGS, TrainOptions, write_settings
from tweetprofile.training.state import STATE, TrainingState, require_same
from tweetprofile.training.summary import TrainSummary, recall_summary
from tweetprofile.training.writing import writing
from tweetprofile.version import __version__
from tweetprofile.workers.devices import resolve_devices


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
    folds = _cross_validate(plan, users, observer, resume=resume)
    setup = _set_up(plan, users, resume=resume)
    trainer, best = _train(plan, setup, observer)
    calibration = _calibrate(trainer, setup)
    summary = TrainSummary(
        plan.folder / MODEL_FILE,
        trainer.kept_epochs,
        best,
        len(users.train),
        len(users.val),
        users.left_out,
        users.unlabelled,
        calibration,
        folds,
        seconds=time.monotonic() - began,
    )
    return _write_model(summary, plan, trainer, users)


def _write_model(
    summary: TrainSummary, plan: "_Plan", trainer: Trainer, users: "_Users"
) -> TrainSummary:
    """Write the model card and the model, after which the state of the training is not needed."""
    temperatures = {name: each.temperature for name, each in summary.calibration.items()}
    training = {
        **_describe(summary, plan),
        "warnings": users.warnings,
        "notes": users.notes,
        "folds": {name: asdict(each) for name, each in summary.folds.items()},
        "seen": what_was_seen(plan.manifest, plan.validation, users.train, users.val).to_dict(),
    }
    card = make_card(plan.network, plan.options.volume_spec, plan.found.schema, training)
    write_card(plan.folder / CARD, card)
    with writing(summary.checkpoint):
        save_checkpoint(summary.checkpoint, trainer.result, training, temperatures)
        (plan.folder / STATE).unlink(missing_ok=True)
    return summary


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
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class _Users:
    """Users to train on, users set aside, and how many are neither, and why.

    Attributes:
        everyone: all users of the manifest with an image and a label.
    """

    everyone: Subset
    train: Subset
    val: Subset
    left_out: int
    unlabelled: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


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
        check_image_root(_image_root(options, each))
    inputs = _inputs(options, opened, validation)
    folder = prepare_folder(run, inputs, wanted)
    options = options.resolved
    settings = _settings(options, opened, found)
    plan = _Plan(
        options, network, opened, validation, found, devices, cache, folder, settings, inputs
    )
    if wanted.resume and (state := TrainingState.load(folder)) is not None:
        require_same(plan.settings, state.settings, folder)
    return plan


def _inputs(options: TrainOptions, manifest: Manifest, validation: Manifest | None) -> Inputs:
    """What the run reads, and its outputs never replace."""
    inputs = inputs_of(manifest, _image_root(options, manifest))
    if validation is not None:
        inputs += inputs_of(validation, _image_root(options, validation))
    init = Path(options.init) if options.init else None
    schema = Path(options.schema) if Path(options.schema).is_file() else None
    return inputs + Inputs.of(initial_weights=init, schema=schema)


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
    options, schema = plan.options, plan.found.schema
    warnings: list[str] = []
    if plan.validation is None:
        parts = set_aside(whole, options.val_fraction, options.seed)
        warnings += warn_of_few_users(
            schema, len(whole), parts.val, options.val_fraction, folds=options.folds
        )
    else:
        val, _, _ = _decode(plan, plan.validation, observer)
        parts = Parts(whole, val, 0, 0, 0)
        warnings += filter(None, [warn_of_shared_images(whole, val)])
        warnings += warn_of_few_users(schema, len(whole) + len(val), val, 0, folds=options.folds)
    if parts.note:
        observer.on_note(parts.note)
    for warning in warnings:
        observer.on_warning(warning)
    return _Users(
        whole,
        parts.train,
        parts.val,
        left_out + parts.dropped,
        unlabelled,
        tuple(warnings),
        notes=(parts.note,) if parts.note else (),
    )


def _train(
    plan: _Plan, setup: TrainingSetup, observer: TrainObserver
) -> tuple[Trainer, EpochMetrics]:
    """Train on all devices; the first process's trainer, and the metrics of its result."""
    with all_ranks(plan.devices, train_rank, setup) as rank:
        trainer = Trainer(setup, rank, observer)
        return trainer, trainer.run()


def _cross_validate(
    plan: _Plan, users: _Users, observer: TrainObserver, *, resume: bool
) -> dict[str, FoldSummary]:
    """Train and test once per fold, going on after the folds that are done."""
    options, done = plan.options, read_folds(plan.folder, plan.settings) if resume else []
    if options.folds is None:
        return {}
    folds = make_folds(users.everyone, options.folds, options.seed)
    for number, (rest, tested) in enumerate(folds, 1):
        if number > len(done):
            observer.on_fold(number, options.folds)
            folder = fold_folder(plan.folder, number)
            prepare_folder(folder, plan.inputs, FolderOptions(overwrite=not resume, resume=resume))
            if (state := TrainingState.load(folder)) is not None:
                require_same(plan.settings, state.settings, folder)
            parts = Parts(rest, users.val, 0, 0, 0)
            if plan.validation is None:
                parts = set_aside(rest, options.val_fraction, options.seed)
            setup = replace(
                _set_up(plan, users, resume=resume), train=parts.train, val=parts.val, folder=folder
            )
            trainer, _ = _train(plan, setup, observer)
            logits = trainer.judge(tested).values()
            guesses = np.stack([each.argmax(dim=1).numpy() for each in logits], axis=1)
            done.append(score_traits(setup.schema, guesses, tested.labels, parts.train.labels))
            write_folds(plan.folder, plan.settings, done)
            (folder / STATE).unlink(missing_ok=True)
    return summarise(done)


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


def _calibrate(trainer: Trainer, setup: TrainingSetup) -> dict[str, TemperatureFit]:
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
    path = plan.folder / MODEL_FILE
    if not path.exists():
        return None
    checkpoint = load_checkpoint(path)
    require_same(plan.settings, checkpoint.training.get("settings", {}), plan.folder)
    return recall_summary(checkpoint)


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
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "manifest": Path(plan.manifest.source).name,
        "run": plan.folder.absolute().name,
    }
