"""What a training came to, and what its checkpoint remembers of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.errors import OutputError
from tweetprofile.scoring.epochs import EpochMetrics, read_metrics
from tweetprofile.training.calibration import TemperatureFit, read_temperature_fit
from tweetprofile.training.folds import FoldSummary
from tweetprofile.untrusted.fields import FieldError, Reader, mapping_of, read_known, whole


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
        folds: by trait, what a cross-validation found; empty without one.
        seconds: all of it took.
    """

    checkpoint: Path
    kept_epochs: tuple[int, ...]
    best: EpochMetrics
    users: int
    val_users: int
    left_out: int
    unlabelled: int
    calibration: Mapping[str, TemperatureFit]
    folds: Mapping[str, FoldSummary]
    seconds: float


def recall_summary(checkpoint: Checkpoint) -> TrainSummary:
    """The summary of a run that has ended, from its checkpoint.

    Raises:
        OutputError: the checkpoint does not say.
    """
    facts = checkpoint.training
    counts = dict.fromkeys(("users", "val_users", "left_out", "unlabelled"), whole)
    readers: dict[str, Reader] = {
        **counts,
        "calibration": mapping_of(read_temperature_fit),
        "best": read_metrics,
    }
    try:
        found = read_known(facts, "training", readers, readers)
    except FieldError as error:
        raise OutputError(
            f"{checkpoint.path} does not say how it was trained ({error}); train with --overwrite."
        ) from None
    epochs = tuple(facts.get("kept_epochs", [found["best"].epoch]))
    folds = {name: FoldSummary(**each) for name, each in facts.get("folds", {}).items()}
    return TrainSummary(checkpoint.path, epochs, **found, folds=folds, seconds=0.0)
