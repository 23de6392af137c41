"""The summary of a training, and how it is read back from the checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.errors import OutputError
from tweetprofile.scoring.epochs import EpochMetrics, read_metrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.calibration import TemperatureFit, read_temperature_fit
from tweetprofile.training.folds import FoldSummary
from tweetprofile.untrusted.fields import FieldError, Reader, mapping_of, read_known, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSummary:
    """The outcome of a training.

    Attributes:
        checkpoint: The path of the trained model.
        kept_epochs: The epoch that was kept of each member.
        best: The metrics of the last of these epochs, with the scores of all members together.
        users: The number of users that the model was trained on.
        val_users: The number of held-out users.
        left_out: The number of users without a usable image.
        unlabelled: The number of users without a label.
        calibration: The temperatures fitted on the held-out users, by trait.
        folds: The scores of the cross-validation by trait; empty without a cross-validation.
        seconds: The duration of the training.
        in_turn: Whether each member held out a part of the users, whom others learned from.
        parts: The scores of images, of texts and of both, on users who have both; empty for a
            model of one of them.
        texts_alone: Whether the model reads texts alone.
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
    in_turn: bool = False
    parts: Mapping[str, Mapping[str, TraitScore]] = field(default_factory=dict)
    texts_alone: bool = False


def recall_summary(checkpoint: Checkpoint) -> TrainSummary:
    """Read the summary of a finished run from its checkpoint.

    Args:
        checkpoint: The checkpoint of the run.

    Raises:
        OutputError: The checkpoint does not describe its training.
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
            f"{checkpoint.path} does not describe how it was trained ({error}); pass "
            "`overwrite=True` to train again."
        ) from None
    epochs = tuple(facts.get("kept_epochs", [found["best"].epoch]))
    folds = {name: FoldSummary(**each) for name, each in facts.get("folds", {}).items()}
    return TrainSummary(
        checkpoint=checkpoint.path,
        kept_epochs=epochs,
        **found,
        folds=folds,
        seconds=0.0,
        in_turn=facts.get("held_out_in_turn", False),
        parts={
            name: {trait: TraitScore(**score) for trait, score in scores.items()}
            for name, scores in facts.get("parts", {}).items()
        },
        texts_alone=not checkpoint.sees_images,
    )
