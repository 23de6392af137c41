"""Cross-validation: each user is tested once, by a network that never saw them or their images."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, kind_of, stamp
from tweetprofile.data.labels.split import link_users, share_out
from tweetprofile.errors import OutputError
from tweetprofile.scoring.traits import TraitScore, read_score
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.training.cache import Subset
from tweetprofile.training.holdout import without_shared_images
from tweetprofile.training.same_settings import differing_settings
from tweetprofile.training.writing import explain_write_errors
from tweetprofile.untrusted.fields import (
    FieldError,
    list_of,
    mapping,
    mapping_of,
    parse_json,
    read_known,
)

FOLDS = "folds.json"
"""The name of the file in a run folder that holds the scores of the finished folds."""

MOST_FOLDS = 100

_LARGEST_FILE = 16 << 20

Scores = Mapping[str, TraitScore]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSummary:
    """The scores of a trait over all folds.

    Attributes:
        accuracy: The mean accuracy, in which each fold weighs as much as it has users.
        accuracy_spread: The standard deviation of the folds' accuracies.
        macro_f1: The mean macro-F1 of the folds.
        macro_f1_spread: The standard deviation of the folds' macro-F1.
        majority: The accuracy of always predicting the most frequent class.
        users: The number of labelled users in all folds.
    """

    accuracy: float
    accuracy_spread: float
    macro_f1: float
    macro_f1_spread: float
    majority: float
    users: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy, from the number of users."""
        return wilson_interval(self.accuracy, self.users)


def make_folds(users: Subset, folds: int, seed: int) -> Iterator[tuple[Subset, Subset]]:
    """Yield, for each fold, the users to learn from and the users to test, who share no image.

    Users who share images are in the same fold. An image that would link nearly all users is
    removed from the users to learn from instead.

    Args:
        users: All labelled users with a usable image.
        folds: The number of folds.
        seed: The seed of the random division.

    Raises:
        TrainingError: No user to learn from has an image of their own.
    """
    frames = [users.frames_of(position) for position in range(len(users))]
    owners = np.repeat(np.arange(len(users)), list(map(len, frames)))
    links = link_users(owners, users.hashes, len(users), max(1, len(users) // folds))
    sides = share_out(users.labels, links.groups, [1 / folds] * folds, seed)
    for fold in range(folds):
        rest, tested = (users.take(np.flatnonzero(each)) for each in (sides != fold, sides == fold))
        parts = without_shared_images(rest, tested)
        yield parts.train, parts.val


def summarise(folds: Sequence[Scores]) -> dict[str, FoldSummary]:
    """Return the means and spreads over the folds, by trait."""
    summaries = {}
    for name in dict.fromkeys(name for scores in folds for name in scores):
        found = [scores[name] for scores in folds if name in scores]
        weights = np.array([score.users for score in found])
        accuracy = np.array([score.accuracy for score in found])
        macro_f1 = np.array([score.macro_f1 for score in found])
        majority = np.array([score.majority for score in found])
        summaries[name] = FoldSummary(
            accuracy=float(np.average(accuracy, weights=weights)),
            accuracy_spread=float(accuracy.std(ddof=1)) if len(found) > 1 else 0.0,
            macro_f1=float(macro_f1.mean()),
            macro_f1_spread=float(macro_f1.std(ddof=1)) if len(found) > 1 else 0.0,
            majority=float(np.average(majority, weights=weights)),
            users=int(weights.sum()),
        )
    return summaries


def write_folds(folder: Path, settings: Mapping[str, Any], folds: Sequence[Scores]) -> None:
    """Write the scores of the finished folds.

    Args:
        folder: The run folder.
        settings: The settings of the run.
        folds: The scores of each finished fold, by trait.

    Raises:
        WriteError: The file cannot be written.
    """
    path = folder / FOLDS
    scores = [{name: asdict(each) for name, each in fold.items()} for fold in folds]
    fields = {METADATA_KEY: stamp(Kind.FOLDS), "settings": dict(settings), "folds": scores}
    with explain_write_errors(path):
        write_atomically(
            path, (json.dumps(fields, indent=1) + "\n").encode(), is_earlier(Kind.FOLDS)
        )


def read_folds(folder: Path, settings: Mapping[str, Any]) -> list[Scores]:
    """Read the scores of the folds that an interrupted run has finished.

    Args:
        folder: The run folder.
        settings: The settings that the interrupted run must have had.

    Raises:
        OutputError: The file is damaged, or belongs to a run with other settings.
    """
    path = folder / FOLDS
    if kind_of(path) is not Kind.FOLDS:
        return []
    try:
        fields = _read(path)
        if differing_settings(settings, fields["settings"]):
            raise FieldError("it belongs to a run with other settings")
        read = mapping_of(read_score)
        return [read(each, f"fold {number}") for number, each in enumerate(fields["folds"], 1)]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, FieldError) as error:
        raise OutputError(
            f"cannot resume the cross-validation of {path} ({error}); pass `overwrite=True` to "
            "start again."
        ) from None


def count_folds(folder: Path) -> int:
    """Return how many folds of a cross-validation a run has finished.

    Args:
        folder: The run folder, which may hold anything.

    Raises:
        FieldError: The file of the folds is damaged.
        OSError: It cannot be read.
    """
    path = folder / FOLDS
    if kind_of(path) is not Kind.FOLDS:
        return 0
    return len(read_known(_read(path), FOLDS, {"folds": list_of(mapping)}, ("folds",))["folds"])


def _read(path: Path) -> Any:
    if path.stat().st_size > _LARGEST_FILE:
        raise FieldError("it is too large")
    return parse_json(path.read_bytes(), FOLDS)
