"""Learning from the texts of a manifest's users: counted, fitted, calibrated and scored."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from tweetprofile.data.files.scratch import no_room
from tweetprofile.data.labels.reading import UNKNOWN, read_labels
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import TrainingError
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import mean_macro_f1, score_traits
from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.spec import BLOCKS, PROFILE_BLOCKS, PROFILE_FIELDS, TextSpec
from tweetprofile.training.calibration import TemperatureFit, calibrate
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan
from tweetprofile.training.texts.counts import TextCounts, open_counts
from tweetprofile.training.texts.fitting import FOLDS, TextFit, TextSetting, TextUsers, fit_texts
from tweetprofile.traits import TraitSchema

_FEWEST_USERS = 2 * FOLDS
"""With fewer users, a fold would have a single user to be tested on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedTexts:
    """A model of texts that was trained.

    Attributes:
        model: The model.
        spec: What it counts.
        calibration: The temperature of each trait.
        metrics: Its scores on the held-out users.
        held_out: The logits of held-out users.
        users_N: The numbers of the training users in the manifest.
        labels_NT: The class numbers of their labels.
        left_out: The number of users without a text.
        unlabelled: The number of users who have texts and no label.
        note: A sentence on what was chosen, and how users were held out.
    """

    model: TextModel
    spec: TextSpec
    calibration: Mapping[str, TemperatureFit]
    metrics: EpochMetrics
    held_out: HeldOut
    users_N: NDArray[np.int64]
    labels_NT: NDArray[np.int64]
    left_out: int
    unlabelled: int
    note: str


def learn_texts(plan: TrainingPlan, observer: TrainObserver) -> LearnedTexts:
    """Train the model of texts.

    Raises:
        TrainingError: There are too few users to learn from.
        WriteError: There is not enough space for temporary files.
    """
    began = time.monotonic()
    schema, spec = plan.found.schema, _spec_for(plan)
    counts, labels = _read(plan, plan.manifest, spec, observer)
    has_texts, labelled = counts.texts > 0, (labels != UNKNOWN).any(axis=1)
    chosen = np.flatnonzero(has_texts & labelled)
    if len(chosen) < _FEWEST_USERS:
        raise TrainingError(
            f"{plan.manifest.source} has {count_of(len(chosen), 'user')} with a label and a "
            f"text; a model of texts needs at least {_FEWEST_USERS}."
        )
    users = TextUsers(counts=counts, users_N=chosen, labels_NT=labels[chosen])
    try:
        with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
            fit = fit_texts(users, schema, spec, plan.options.seed, Path(folder))
    except OSError as error:
        raise no_room(error) from error
    held_out = fit.held_out
    if plan.validation is not None:
        held_out = _validate(fit.model, *_read(plan, plan.validation, spec, observer), schema)
    calibration = {
        trait.name: calibrate(*held_out.labelled(trait.name, column))
        for column, trait in enumerate(schema)
    }
    note = _describe(fit, held_out, alone=plan.validation is not None)
    observer.on_note(note)
    metrics = _measure(held_out, schema, users.labels_NT, time.monotonic() - began)
    return LearnedTexts(
        model=fit.model,
        spec=spec,
        calibration=calibration,
        metrics=metrics,
        held_out=held_out,
        users_N=chosen,
        labels_NT=users.labels_NT,
        left_out=int((~has_texts).sum()),
        unlabelled=int((has_texts & ~labelled).sum()),
        note=note,
    )


def _spec_for(plan: TrainingPlan) -> TextSpec:
    """Return what is counted: the n-grams of all that the manifest has, and that is wanted."""
    fields = plan.manifest.profile_columns if plan.options.profile_fields else ()
    sources = [source for source, names in PROFILE_FIELDS.items() if set(names) & set(fields)]
    of_texts = BLOCKS if plan.manifest.has_texts else ()
    of_profiles = tuple(block for block in PROFILE_BLOCKS if block.source in sources)
    return TextSpec((*of_texts, *of_profiles), frequencies="saturating", fields=fields)


def _read(
    plan: TrainingPlan, manifest: Manifest, spec: TextSpec, observer: TrainObserver
) -> tuple[TextCounts, NDArray[np.int64]]:
    limits = plan.options.text_limits
    counts = open_counts(manifest, spec, limits, plan.cache, observer.on_counted)
    return counts, read_labels(manifest, plan.found.schema)


def _validate(
    model: TextModel, counts: TextCounts, labels: NDArray[np.int64], schema: TraitSchema
) -> HeldOut:
    """Return the logits of all labelled users with texts, whom the model has not learned from."""
    users = np.flatnonzero((counts.texts > 0) & (labels != UNKNOWN).any(axis=1))
    rows = [model.logits(counts.of_user(user)) for user in users.tolist()]
    logits = {
        trait.name: torch.from_numpy(
            np.stack([row[trait.name] for row in rows])
            if rows
            else np.empty((0, len(trait.classes)), np.float32)
        )
        for trait in schema
    }
    return HeldOut(users, labels[users], logits)


def _describe(fit: TextFit, held_out: HeldOut, *, alone: bool) -> str:
    """Return a sentence on the settings, and on how users were held out."""
    terms, scored = fit.model.terms, len(held_out.users_R)
    chosen = "; ".join(f"{name} by {_weights(terms, each)}" for name, each in fit.settings.items())
    users = f"{count_of(scored, 'user')} {'of `val` ' if alone else ''}"
    how = "" if alone else f" in {FOLDS} folds, by models that held them out"
    return (
        f"texts: {count_of(len(terms.buckets_F), 'n-gram')}, weighted for {chosen}; "
        f"{users}{one_or_many(scored, 'was', 'were')} scored{how}."
    )


def _weights(terms: TermWeights, setting: TextSetting) -> str:
    """Return how much each kind of n-grams of texts, and each field of profiles, counts.

    Blocks without an n-gram that several users have are left out.
    """
    weights: dict[str, float] = {}
    sizes = np.diff([*terms.block_starts, len(terms.buckets_F)])
    for block, weight, size in zip(terms.spec.blocks, setting.block_weights, sizes, strict=True):
        if size:
            name = block.kind if block.source == "texts" else block.source
            weights[name] = weights.get(name, 0.0) + weight
    total = sum(weights.values()) or 1.0
    return ", ".join(f"{name} {each / total:.2f}" for name, each in weights.items()) or "nothing"


def _measure(
    held_out: HeldOut, schema: TraitSchema, train_labels: NDArray[np.int64], seconds: float
) -> EpochMetrics:
    """Return the metrics of the model, as those of a single epoch."""
    guesses = np.stack([held_out.logits[name].argmax(dim=1).numpy() for name in schema.names], 1)
    scores = score_traits(schema, guesses, held_out.labels_RT, train_labels)
    losses = [
        float(cross_entropy(*pair))
        for column, name in enumerate(schema.names)
        if len((pair := held_out.labelled(name, column))[1])
    ]
    return EpochMetrics(
        epoch=1,
        loss=sum(losses),
        val_loss=sum(losses),
        scores=scores,
        mean_macro_f1=mean_macro_f1(scores),
        learning_rate=0.0,
        seconds=seconds,
    )
