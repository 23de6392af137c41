"""The scores of a training's epochs: a line of `metrics.jsonl`, and part of a checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tweetprofile.scoring.traits import TraitScore, read_score
from tweetprofile.untrusted.fields import (
    FieldError,
    Reader,
    build,
    mapping_of,
    number,
    optional,
    parse_json,
    whole,
)

METRICS = "metrics.jsonl"
"""The name of the file in a run folder that holds one line per epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: The number of the epoch, counted from 1.
        loss: The mean training loss, summed over the traits.
        val_loss: The cross-entropy on the held-out users, summed over the traits; None without
            held-out users.
        scores: The scores on the held-out users, by trait.
        mean_macro_f1: The mean over the traits that have a score; it decides which epoch is best.
        learning_rate: The learning rate of the epoch's last step.
        seconds: The duration of the epoch.
    """

    epoch: int
    loss: float
    val_loss: float | None
    scores: Mapping[str, TraitScore]
    mean_macro_f1: float
    learning_rate: float
    seconds: float

    def beats(self, best: "EpochMetrics | None") -> bool:
        """Return whether this epoch is better; without held-out users the later one is."""
        return best is None or not self.scores or self.mean_macro_f1 > best.mean_macro_f1


def read_metrics(value: object, what: str) -> EpochMetrics:
    """Read untrusted JSON: the inverse of `dataclasses.asdict`.

    Args:
        value: The parsed JSON.
        what: The name of the value in errors.

    Raises:
        FieldError: A field is missing, unknown or of another type.
    """
    return build(EpochMetrics, value, what, _METRICS)


def epoch_of(line: str) -> float:
    """Return the epoch of a line of `metrics.jsonl`; infinity for a damaged line."""
    try:
        return read_metrics(parse_json(line, "it"), "it").epoch
    except FieldError:
        return math.inf


_METRICS: Mapping[str, Reader] = {
    "epoch": whole,
    "loss": number,
    "val_loss": optional(number),
    "scores": mapping_of(read_score),
    "mean_macro_f1": number,
    "learning_rate": number,
    "seconds": number,
}
