"""A whole training: check, decode, hold out, cross-validate, train, calibrate, write the files."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.plurals import listed
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore, score_traits
from tweetprofile.training.backbones import advice
from tweetprofile.training.cache import Subset
from tweetprofile.training.calibration import TemperatureFit, calibrate_mean
from tweetprofile.training.curves import Curves
from tweetprofile.training.distributed import all_ranks
from tweetprofile.training.embeddings import embedding_source, whole_network
from tweetprofile.training.fingerprint import fingerprint_users
from tweetprofile.training.finishing import Trained, UserCounts, write_model
from tweetprofile.training.folder import (
    HEAD_FOLDER,
    FolderOptions,
    fold_folder,
    is_resumed,
    prepare_folder,
)
from tweetprofile.training.folds import (
    FoldSummary,
    make_folds,
    read_folds,
    summarise,
    write_folds,
)
from tweetprofile.training.head_choice import choose_head, with_head
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.holdout import Holdout, hold_out
from tweetprofile.training.loop import Trainer, train_rank
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan, plan_training
from tweetprofile.training.recipes import recipe_for
from tweetprofile.training.settings import SETTINGS, TrainOptions, write_settings
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.training.state import STATE, TrainingState, require_same
from tweetprofile.training.summary import TrainSummary, recall_summary
from tweetprofile.training.texts.joining import model_of_texts, with_texts
from tweetprofile.training.texts.learning import learn_texts
from tweetprofile.training.texts.vocabulary import write_vocabulary
from tweetprofile.training.users import TrainingUsers, load_users
from tweetprofile.weights.backbone_files import temporary_file


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
        manifest: A Parquet file, a folder of Parquet files or a glob, with label columns.
        run: The run folder, which gets `model.safetensors`, `MODEL_CARD.md`, `metrics.jsonl` and
            `train.toml`.
        options: How to train; see `TrainOptions`.
        observer: Receives the events of the training.
        overwrite: Whether the files of an earlier run in the run folder may be replaced.
        resume: Whether to resume an unfinished run in the run folder, if there is one.
        config: The file that the options were read from, which is never replaced; None if they
            were not read from a file.

    Raises:
        InputError: The manifest, an option or the run folder is unusable; nothing was done.
        TrainingError: There is no user to learn from, or the loss is not finite.
        WriteError: A disk is full.
    """
    began = time.monotonic()
    observer = observer or TrainObserver()
    usage = FolderOptions(overwrite, resume, config)
    plan = plan_training(manifest, Path(run), options or TrainOptions(), usage)
    if resume and (finished := _finished(plan)) is not None:
        return finished
    if not is_resumed(plan.folder, usage):  # a resumed run has the same settings already
        write_settings(plan.folder / SETTINGS, manifest, plan.options)
    observer.on_schema(plan.found)
    for note in _notes(plan, options or TrainOptions()):
        observer.on_note(note)
    trained, folds = _learn(plan, observer, resume=resume)
    summary = TrainSummary(
        checkpoint=plan.folder / MODEL_FILE,
        kept_epochs=trained.kept_epochs,
        best=trained.best,
        **asdict(trained.counts),
        calibration=trained.calibration,
        folds=folds,
        seconds=time.monotonic() - began,
        in_turn=trained.in_turn,
        parts=trained.parts,
        texts_alone=plan.options.use == "texts",
    )
    with Curves(plan.folder, plan.options.log_to) as curves:
        curves.add_result(summary.best, begins=summary.texts_alone)
    write_model(summary, plan, trained)
    return summary


def _notes(plan: TrainingPlan, options: TrainOptions) -> Iterator[str]:
    """Yield sentences on what the user may want to know before the training begins."""
    sentence = advice(options.backbone_options)
    if sentence is not None and plan.options.use != "texts":
        yield sentence
    if options.use is None:
        for name, is_used, there in (
            ("image", plan.options.use != "texts", plan.manifest.has_images),
            ("text", plan.options.use != "images", plan.manifest.has_texts),
        ):
            if there and not is_used:
                yield f"no user of {plan.manifest.source} has {name}s, so the model does without."
    fields = plan.manifest.profile_columns
    if fields and plan.options.use != "images" and not plan.options.profile_fields:
        yield (
            f"the manifest also has {listed(fields)}, which `profile_fields` would read; "
            "they can identify people."
        )
    for note in (*plan.validation_notes, *_lacking(plan)):
        yield f"held-out users: {note}"


def _lacking(plan: TrainingPlan) -> Iterator[str]:
    """Yield a sentence if the model reads more of the training users than of the held-out ones."""
    held_out = plan.validation
    if held_out is None or plan.options.use == "images":
        return
    lacking = ["texts"] if plan.manifest.has_texts and not held_out.has_texts else []
    if plan.options.profile_fields:
        there = held_out.profile_columns
        lacking += [name for name in plan.manifest.profile_columns if name not in there]
    if lacking:
        yield (
            f"{held_out.source} has no {' and no '.join(lacking)}, so scores and confidences are "
            "those of the model without."
        )


def _finished(plan: TrainingPlan) -> TrainSummary | None:
    """Return the summary of a run that is already finished; None for any other."""
    path = plan.folder / MODEL_FILE
    if not path.exists():
        return None
    checkpoint = load_checkpoint(path)
    require_same(plan.settings, checkpoint.training.get("settings", {}), plan.folder)
    return recall_summary(checkpoint)


def _learn(
    plan: TrainingPlan, observer: TrainObserver, *, resume: bool
) -> tuple[Trained, dict[str, FoldSummary]]:
    """Train what the options name; return the model, and the scores of a cross-validation."""
    if plan.options.use == "images":
        return _learn_images(plan, observer, resume=resume)
    texts = learn_texts(plan, observer)
    if plan.options.keep_vocabulary:
        write_vocabulary(plan, texts.model, texts.users_N)
    if plan.options.use == "texts":
        return model_of_texts(plan, texts), {}
    trained, folds = _learn_images(plan, observer, resume=resume)
    return with_texts(plan, trained, texts, observer), folds


def _learn_images(
    plan: TrainingPlan, observer: TrainObserver, *, resume: bool
) -> tuple[Trained, dict[str, FoldSummary]]:
    """Train a network over images; return it, and the scores of a cross-validation."""
    learned = plan.options.learned
    if learned in ("head", "last"):
        trained, folds = _learn_head(plan, observer, resume=resume)
        if learned == "last":
            trained = _fine_tune(plan, trained, observer, resume=resume)
        return trained, folds
    users = load_users(plan, observer)
    folds = _cross_validate(plan, users, observer, resume=resume)
    setup = _set_up(plan, users, resume=resume)
    with _backbone_file(plan) as path:
        trainer, best = _train(plan, replace(setup, backbone=path), observer)
    return _trained(plan, trainer, setup, (best, users)), folds


def _learn_head(
    plan: TrainingPlan, observer: TrainObserver, *, resume: bool
) -> tuple[Trained, dict[str, FoldSummary]]:
    """Embed every image once, and train a head on the embeddings."""
    options, loaded = plan.options, plan.loaded
    assert loaded is not None
    with embedding_source(loaded.backbone, options.embed_views, plan.cache) as source:
        users = load_users(plan, observer, source)
    setup = _set_up(plan, users, resume=resume)
    notes: tuple[str, ...] = ()
    if options.head == "auto":
        choice = choose_head(plan, setup, observer)
        observer.on_note(choice.note)
        notes = (choice.note,)
        plan = replace(plan, network=with_head(plan.network, choice.name))
        setup = replace(setup, network=plan.network)
    folds = _cross_validate(plan, users, observer, resume=resume)
    if options.learned == "last":
        folder = plan.folder / HEAD_FOLDER
        prepare_folder(folder, plan.inputs, FolderOptions(overwrite=not resume, resume=resume))
        setup = replace(setup, folder=folder, recipe=recipe_for("default", learned="head", heads=1))
    trainer, best = _train(plan, setup, observer)
    trained = _trained(plan, trainer, setup, (best, users))
    whole = whole_network(loaded.backbone, trained.network)
    return replace(trained, network=whole, notes=(*trained.notes, *notes)), folds


def _fine_tune(
    plan: TrainingPlan, head: Trained, observer: TrainObserver, *, resume: bool
) -> Trained:
    """Train the last stages of the backbone, too; return the network that predicts better."""
    users = load_users(plan, _OnlyProgress(observer))
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        path = Path(folder) / MODEL_FILE
        save_checkpoint(path, head.network, {})
        setup = replace(_set_up(plan, users, resume=resume), network=head.network.spec, init=path)
        trainer, best = _train(plan, setup, observer)
    tuned = replace(_trained(plan, trainer, setup, (best, users)), notes=head.notes)
    if not len(users.val):
        return tuned
    kept = tuned if best.beats(head.best) else head
    what = "the fine-tuned network" if kept is tuned else "the backbone as it was"
    note = (
        f"{what} is kept: the mean macro-F1 on the held-out users is "
        f"{head.best.mean_macro_f1:.3f} before and {best.mean_macro_f1:.3f} after fine-tuning."
    )
    observer.on_note(note)
    return replace(kept, notes=(*head.notes, note))


class _OnlyProgress(TrainObserver):
    """Passes on the progress of decoding, but no note or warning, which were shown before."""

    def __init__(self, observer: TrainObserver) -> None:
        self.on_decoded = observer.on_decoded  # type: ignore[method-assign]


@contextmanager
def _backbone_file(plan: TrainingPlan) -> Iterator[Path | None]:
    """Write the initial weights of a backbone for the processes of a training; None without."""
    if plan.loaded is None:
        yield None
        return
    with temporary_file(plan.loaded.backbone) as path:
        yield path


def _trained(
    plan: TrainingPlan,
    trainer: Trainer,
    setup: TrainingSetup,
    outcome: tuple[EpochMetrics, TrainingUsers],
) -> Trained:
    """Return a trained network, with what it is calibrated and described by."""
    best, users = outcome
    held_out = trainer.evaluate_held_out() if len(setup.val) else None
    return Trained(
        network=trainer.result,
        best=best,
        kept_epochs=trainer.kept_epochs,
        calibration=_calibrate(setup, held_out, len(trainer.kept_epochs)),
        counts=UserCounts(
            users=len(users.train),
            val_users=len(users.val),
            left_out=users.left_out,
            unlabelled=users.unlabelled,
        ),
        seen=fingerprint_users(plan.manifest, plan.validation, users.train, users.val),
        held_out=held_out,
        in_turn=bool(users.parts),
        warnings=users.warnings,
        notes=users.notes,
    )


def _set_up(plan: TrainingPlan, users: TrainingUsers, *, resume: bool) -> TrainingSetup:
    options = plan.options
    return TrainingSetup(
        network=plan.network,
        volume_spec=options.volume_spec,
        schema=plan.found.schema,
        recipe=options.resolved_recipe,
        train=users.train,
        val=users.val,
        seed=options.seed,
        minutes=options.minutes,
        init=Path(options.init) if options.init else None,
        folder=plan.folder,
        settings=plan.settings,
        resume=resume,
        frozen=users.train.cache.items_M.dtype == np.float16,
        learned=options.learned or "all",
        parts=users.parts,
        log_to=options.log_to,
    )


def _train(
    plan: TrainingPlan, setup: TrainingSetup, observer: TrainObserver
) -> tuple[Trainer, EpochMetrics]:
    """Train on all devices; return the first process's trainer, and the metrics of its result."""
    with all_ranks(plan.devices, train_rank, setup) as rank:
        trainer = Trainer(setup, rank, observer)
        return trainer, trainer.run()


def _cross_validate(
    plan: TrainingPlan, users: TrainingUsers, observer: TrainObserver, *, resume: bool
) -> dict[str, FoldSummary]:
    """Train and test one network per fold, except for folds that are already finished."""
    options, done = plan.options, read_folds(plan.folder, plan.settings) if resume else []
    if options.folds is None:
        return {}
    folds = make_folds(users.everyone, options.folds, options.seed)
    for number, (rest, tested) in enumerate(folds, 1):
        if number > len(done):
            observer.on_fold(number, options.folds)
            setup = _set_up_fold(plan, users, rest, number, resume=resume)
            trainer, _ = _train(plan, setup, observer)
            done.append(_test(trainer, setup, tested))
            write_folds(plan.folder, plan.settings, done)
            (setup.folder / STATE).unlink(missing_ok=True)
    return summarise(done)


def _set_up_fold(
    plan: TrainingPlan, users: TrainingUsers, rest: Subset, number: int, *, resume: bool
) -> TrainingSetup:
    """Prepare the training of a fold on the users who are not tested in it."""
    folder = fold_folder(plan.folder, number)
    prepare_folder(folder, plan.inputs, FolderOptions(overwrite=not resume, resume=resume))
    if (state := TrainingState.load(folder)) is not None:
        require_same(plan.settings, state.settings, folder)
    if plan.validation is None:
        holdout = hold_out(rest, plan.options.val_fraction, plan.options.seed)
    else:
        holdout = Holdout(rest, users.val)
    setup = _set_up(plan, users, resume=resume)
    return replace(setup, train=holdout.train, val=holdout.val, folder=folder, parts=())


def _test(trainer: Trainer, setup: TrainingSetup, tested: Subset) -> dict[str, TraitScore]:
    """Score the network of a fold on the users to test."""
    logits = trainer.evaluate(tested).values()
    guesses = np.stack([each.argmax(dim=1).numpy() for each in logits], axis=1)
    return score_traits(setup.schema, guesses, tested.labels, setup.train.labels)


def _calibrate(
    setup: TrainingSetup, held_out: HeldOut | None, networks: int
) -> dict[str, TemperatureFit]:
    """Fit the temperature of each trait on the held-out users, if there are any."""
    if held_out is None:
        return {}
    pairs = held_out.mean(2)
    return {
        trait.name: calibrate_mean(
            held_out.labelled(trait.name, column), pairs.labelled(trait.name, column), networks
        )
        for column, trait in enumerate(setup.schema)
    }
