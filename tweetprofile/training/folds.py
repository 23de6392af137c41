"""Cross-validation: every user is tested on once, by a network that has seen nothing of theirs."""

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
from tweetprofile.training.setting_aside import keep_apart
from tweetprofile.training.writing import writing
from tweetprofile.untrusted.fields import FieldError, mapping_of, parse_json

FOLDS = "folds.json"
"""Name of its file in a run's folder: the scores of the folds that are done."""

MOST_FOLDS = 100

_LARGEST_FILE = 16 << 20

Scores = Mapping[str, TraitScore]


@dataclass(frozen=True, slots=True)
class FoldSummary:
    """What the folds say of a trait.

    Attributes:
        accuracy: mean over the folds, each weighing as many users as it has.
        accuracy_spread: standard deviation over the folds.
        macro_f1: mean over the folds.
        macro_f1_spread: standard deviation over the folds.
        majority: accuracy of naming the most frequent class.
        users: labelled users, of all folds.
    """

    accuracy: float
    accuracy_spread: float
    macro_f1: float
    macro_f1_spread: float
    majority: float
    users: int

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy (Wilson 1927), from the number of users."""
        return wilson_interval(self.accuracy, self.users)


def make_folds(users: Subset, folds: int, seed: int) -> Iterator[tuple[Subset, Subset]]:
    """For each fold, the users to learn from and those to test on, who share no image.

    Users who share images are in one fold. An image that would tie nearly all users together stays
    with the users who are tested on.

    Raises:
        TrainingError: no user to learn from has an image of their own.
    """
    frames = [users.frames_of(position) for position in range(len(users))]
    owners = np.repeat(np.arange(len(users)), list(map(len, frames)))
    links = link_users(owners, users.hashes, len(users), max(1, len(users) // folds))
    sides = share_out(users.labels, links.groups, [1 / folds] * folds, seed)
    for fold in range(folds):
        tested = users.take(np.flatnonzero(sides == fold))
        parts = keep_apart(users.take(np.flatnonzero(sides != fold)), tested)
        yield parts.train, parts.val


def summarise(folds: Sequence[Scores]) -> dict[str, FoldSummary]:
    """Means and spreads over the folds, by trait."""
    summaries = {}
    for name in dict.fromkeys(name for scores in folds for name in scores):
        found = [scores[name] for scores in folds if name in scores]
        weights = np.array([score.users for score in found])
        accuracy = np.array([score.accuracy for score in found])
        macro_f1 = np.array([score.macro_f1 for score in found])
        majority = np.array([score.majority for score in found])
        summaries[name] = FoldSummary(
            float(np.average(accuracy, weights=weights)),
            float(accuracy.std(ddof=1)) if len(found) > 1 else 0.0,
            float(macro_f1.mean()),
            float(macro_f1.std(ddof=1)) if len(found) > 1 else 0.0,
            float(np.average(majority, weights=weights)),
            int(weights.sum()),
        )
    return summaries


def write_folds(folder: Path, settings: Mapping[str, Any], folds: Sequence[Scores]) -> None:
    """Write the scores of the folds that are done.

    Raises:
        WriteError: the file cannot be written.
    """
    path = folder / FOLDS
    scores = [{name: asdict(each) for name, each in fold.items()} for fold in folds]
    fields = {METADATA_KEY: stamp(Kind.FOLDS), "settings": dict(settings), "folds": scores}
    with writing(path):
        write_atomically(
            path, (json.dumps(fields, indent=1) + "\n").encode(), is_earlier(Kind.FOLDS)
        )


def read_folds(folder: Path, settings: Mapping[str, Any]) -> list[Scores]:
    """The scores of the folds that a run with the same settings has done.

    Raises:
        OutputError: the file is damaged, or of a run with other settings.
    """
    path = folder / FOLDS
    if kind_of(path) is not Kind.FOLDS:
        return []
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FieldError("it is too large")
        fields = parse_json(path.read_text(encoding="utf-8"), FOLDS)
        if fields["settings"] != json.loads(json.dumps(dict(settings))):
            raise FieldError("it is of a run with other settings")
        read = mapping_of(read_score)
        return [read(each, f"fold {number}") for number, each in enumerate(fields["folds"], 1)]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, FieldError) as error:
        raise OutputError(
            f"{path} cannot be gone on with ({error}); train with --overwrite."
        ) from None
