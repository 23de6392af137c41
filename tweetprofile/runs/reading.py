"""Reads a run folder: its state, its scores, and what was trained on how many users.

Everything in a run folder is untrusted. A run that cannot be read is described, never an error.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from tweetprofile.checkpoints.checkpoint import read_header
from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.checkpoints.header import CheckpointHeader
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.errors import CheckpointError
from tweetprofile.job import TEXTS_ALONE
from tweetprofile.networks import EmbeddingSetSpec, NoImagesSpec
from tweetprofile.plurals import count_of
from tweetprofile.scoring.epochs import METRICS, EpochMetrics, read_metrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.calibration import read_temperature_fit
from tweetprofile.training.folds import count_folds
from tweetprofile.training.settings import SETTINGS
from tweetprofile.training.state import STATE
from tweetprofile.untrusted.fields import FieldError, mapping_of, parse_json, read_known, whole
from tweetprofile.untrusted.text import printable
from tweetprofile.untrusted.toml_files import read_toml

_LARGEST_METRICS = 64 << 20
_LONGEST_LINE = 1 << 20
"""Bytes; the lines of an epoch with thousands of traits, and of many epochs, take less."""

Measure = Literal["macro-f1", "accuracy"]
"""What runs are compared by."""

_DATE = "%Y-%m-%d %H:%M UTC"


class RunStatus(StrEnum):
    """The states of a run."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run folder, as far as it can be read.

    Attributes:
        folder: The run folder.
        status: The state of the run.
        reason: Why the run is unfinished or damaged; None for a finished run.
        date: When the run finished, or was last written to, in UTC; None if that is unknown.
        model: The network or backbone, and whether it reads texts; None if that is unknown.
        manifest: The name of the training manifest.
        users: The number of training users.
        val_users: The number of held-out users.
        epochs: The largest number of epochs; None for a model of texts alone.
        kept_epochs: The epoch that was kept of each member, or the best one so far.
        scores: The scores on the held-out users, by trait.
        calibration_errors: The calibration errors on the held-out users, by trait.
        held_out: What decided which users were held out; None if that is unknown.
    """

    folder: Path
    status: RunStatus
    reason: str | None = None
    date: str | None = None
    model: str | None = None
    manifest: str | None = None
    users: int | None = None
    val_users: int | None = None
    epochs: int | None = None
    kept_epochs: tuple[int, ...] = ()
    scores: Mapping[str, TraitScore] = field(default_factory=dict)
    calibration_errors: Mapping[str, float] = field(default_factory=dict)
    held_out: str | None = None

    @property
    def reads_texts_alone(self) -> bool:
        """Whether the model reads texts alone, so that there are no epochs."""
        return self.model == TEXTS_ALONE

    def score(self, trait: str, measure: Measure) -> float | None:
        """Return how well a trait is predicted; None if that is unknown."""
        score = self.scores.get(trait)
        if score is None:
            return None
        value = score.accuracy if measure == "accuracy" else score.macro_f1
        return None if math.isnan(value) else value

    def mean(self, measure: Measure) -> float | None:
        """Return the mean over the traits that have a score; None if none has."""
        known = [each for name in self.scores if (each := self.score(name, measure)) is not None]
        return sum(known) / len(known) if known else None

    @property
    def mean_calibration_error(self) -> float | None:
        """The mean over the traits that have a calibration error; None if none has."""
        known = list(self.calibration_errors.values())
        return sum(known) / len(known) if known else None


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Args:
        folder: A folder with a `model.safetensors` or a `train.toml` that `train` wrote.
    """
    if (folder / MODEL_FILE).is_symlink():
        return _damaged(folder, f"{MODEL_FILE} is a symbolic link, which is not followed")
    if not (folder / MODEL_FILE).exists():
        return _unfinished(folder)
    try:
        return _finished(folder, read_header(folder / MODEL_FILE))
    except (CheckpointError, FieldError) as error:
        return _damaged(folder, str(error).removeprefix(f"{folder}/").rstrip("."))


def _finished(folder: Path, header: CheckpointHeader) -> Run:
    """Describe a finished run.

    Raises:
        FieldError: A score is not one.
    """
    training = header.training
    kept = training.get("kept_epochs", ())
    calibration = mapping_of(read_temperature_fit)(training.get("calibration", {}), "calibration")
    scores = {
        name: TraitScore(
            accuracy=score["accuracy"],
            macro_f1=score.get("macro_f1", math.nan),
            majority=score["majority"],
            users=score["users"],
        )
        for name, score in training.get("best", {}).get("scores", {}).items()
    }
    return Run(
        folder=folder,
        status=RunStatus.FINISHED,
        date=training.get("finished"),
        model=_model_of(header),
        manifest=training.get("manifest"),
        users=training.get("users"),
        val_users=training.get("val_users"),
        epochs=None if isinstance(header.network_spec, NoImagesSpec) else training.get("epochs"),
        kept_epochs=tuple(kept),
        scores=_checked(scores),
        calibration_errors={
            name: _share(each.ece_after, name) for name, each in calibration.items()
        },
        held_out=_held_out(training),
    )


def _held_out(training: Mapping[str, Any]) -> str | None:
    """Return what decided which users were held out, and how many there were."""
    settings = training.get("settings", {})
    if not settings.get("manifest"):
        return None
    names = ("val",) if settings.get("val") else ("manifest", "val_fraction", "seed")
    found = {name: settings.get(name) for name in names}
    found |= {name: training.get(name) for name in ("held_out_in_turn", "val_users")}
    return json.dumps(found, sort_keys=True)


def _model_of(header: CheckpointHeader) -> str:
    spec = header.network_spec
    if isinstance(spec, NoImagesSpec):
        return spec.name
    name = spec.backbone if isinstance(spec, EmbeddingSetSpec) else spec.name
    return name if header.texts is None else f"{name} + texts"


def _unfinished(folder: Path) -> Run:
    """Describe a run without a model, from its settings and the epochs that it has finished."""
    try:
        settings = read_toml(folder / SETTINGS)
        metrics = _read_metrics(folder / METRICS)
        best: EpochMetrics | None = None
        for each in metrics:
            best = each if each.beats(best) else best
        scores = _checked({} if best is None else best.scores)
        known = read_known(settings, SETTINGS, {"epochs": whole, "folds": whole})
        epochs, folds = known.get("epochs"), known.get("folds")
        reason = _progress(metrics if (folder / STATE).exists() else (), epochs)
        if folds is not None:
            reason = _progress_of_folds(folder, folds, reason)
    except (OSError, ValueError) as error:
        return _damaged(folder, f"it has no {MODEL_FILE}, and cannot be resumed: {_words(error)}")
    model = str(settings.get("backbone") or settings.get("model"))
    use = settings.get("use")
    model = {"texts": TEXTS_ALONE, "both": f"{model} + texts"}.get(str(use), model)
    return Run(
        folder=folder,
        status=RunStatus.UNFINISHED,
        reason=reason,
        date=_last_written(folder),
        model=model,
        manifest=Path(str(settings.get("manifest", ""))).name or None,
        epochs=None if use == "texts" else epochs,
        kept_epochs=() if best is None else (best.epoch,),
        scores=scores,
    )


def _progress(metrics: Sequence[EpochMetrics], epochs: int | None) -> str:
    """Return how far a training has come.

    Args:
        metrics: The epochs that it would continue after.
        epochs: The largest number of epochs; None if that is unknown.
    """
    if not metrics:
        return "no model was written"
    done = metrics[-1].epoch
    return f"{done:,} of at most {count_of(max(done, epochs or 0), 'epoch')} done"


def _progress_of_folds(folder: Path, folds: int, training: str) -> str:
    """Return how far a cross-validation has come, and then the training that follows it.

    Raises:
        FieldError: The file of the folds is damaged.
        OSError: It cannot be read.
    """
    done = count_folds(folder)
    finished = f"{done:,} of {count_of(max(done, folds), 'fold')} done"
    return f"{finished}, {training}" if done >= folds else finished


def _read_metrics(path: Path) -> list[EpochMetrics]:
    """Read the finished epochs; a last line that was cut short is left out.

    Raises:
        FieldError: The file is not the metrics of a training, or is too large.
        OSError: The file cannot be read.
    """
    if kind_of(path) is not Kind.METRICS:
        return []
    found: list[EpochMetrics] = []
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if file.tell() > _LARGEST_METRICS:
                raise FieldError(f"{METRICS} has more than {_LARGEST_METRICS >> 20} MiB")
            if line.endswith(b"\n"):
                what = f"line {len(found) + 1} of {METRICS}"
                found.append(read_metrics(parse_json(line, what), what))
    return found


def _checked(scores: Mapping[str, TraitScore]) -> Mapping[str, TraitScore]:
    """Return scores after checking that they are shares, which are shown in few characters.

    Raises:
        FieldError: One is not.
    """
    for name, score in scores.items():
        _share(score.accuracy, name)
        if not math.isnan(score.macro_f1):
            _share(score.macro_f1, name)
    return scores


def _share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise FieldError(f"a score of '{printable(name, 60)}' is not between 0 and 1")
    return value


def _last_written(folder: Path) -> str | None:
    try:
        written = [folder / name for name in (MODEL_FILE, SETTINGS, METRICS, STATE)]
        times = [path.lstat().st_mtime for path in written if os.path.lexists(path)]
        return datetime.fromtimestamp(max(times), UTC).strftime(_DATE)
    except (OSError, ValueError, OverflowError):
        return None


def _damaged(folder: Path, reason: str) -> Run:
    return Run(folder=folder, status=RunStatus.DAMAGED, reason=reason, date=_last_written(folder))


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
