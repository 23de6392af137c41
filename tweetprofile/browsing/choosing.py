"""Choose the users of a page, each for a reason that the page states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tweetprofile.browsing.joining import NOWHERE, Joined
from tweetprofile.browsing.options import MOST_USERS, BrowseOptions
from tweetprofile.browsing.predicted import Predicted, in_parts
from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.errors import OptionError
from tweetprofile.inspection.sampling import spread_evenly
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import printable


@dataclass(frozen=True, slots=True)
class Choice:
    """The users of a page.

    Attributes:
        rows: The rows of their profiles, in the order of the manifest.
        of: The number of users that they were chosen from.
        rules: Sentences on why these users were chosen, without a full stop.
        is_sample: Whether they stand for all users, so that shares are comparable.
    """

    rows: NDArray[np.int64]
    of: int
    rules: tuple[str, ...]
    is_sample: bool


def choose_users(joined: Joined, options: BrowseOptions) -> Choice:
    """Choose the users of a page.

    Raises:
        OptionError: A user who is named has no profile or is not in the manifest, mistakes are
            wanted without labels or confidences, or too many users are chosen.
    """
    every = joined.rows_in_order()
    chosen: list[NDArray[np.int64]] = []
    rules: list[str] = []
    if options.sampled:
        chosen.append(_evenly(every, options.sampled))
        rules.append(
            f"{count_of(len(chosen[-1]), 'user')} spread evenly over the manifest"
            if len(chosen[-1]) < len(every)
            else "all users"
        )
    if options.mistakes:
        chosen.append(_mistakes(joined, options.mistakes))
        rules.append(f"the {_most_confident(options.mistakes)} of each trait")
    if options.users:
        chosen.append(_named(joined, options.users))
        rules.append(f"{count_of(len(chosen[-1]), 'user')} chosen by id")
    rows = every[np.isin(every, np.concatenate(chosen))]
    if len(rows) > MOST_USERS:
        raise OptionError(
            f"{len(rows):,} users are chosen, more than the {MOST_USERS:,} of a page; choose a "
            "smaller `sample` or fewer `mistakes`."
        )
    return Choice(rows, len(every), tuple(rules), not (options.mistakes or options.users))


def _most_confident(mistakes: int) -> str:
    return f"{mistakes:,} most confident mistakes" if mistakes > 1 else "most confident mistake"


def _evenly(rows: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Return `wanted` rows that are spread evenly, or all rows if there are fewer."""
    if len(rows) <= wanted:
        return rows
    return rows[np.fromiter(spread_evenly(len(rows), wanted), np.int64, wanted)]


def _named(joined: Joined, users: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of users by their ids, each once."""
    found = joined.ids.to_frame().with_row_index("row").filter(pl.col("user_id").is_in(users))
    rows = dict(zip(found["user_id"], found["row"], strict=True))
    for user in users:
        name = printable(user)
        if user not in rows:
            raise OptionError(
                f"`users` names '{name}', who has no profile in {joined.predictions.path}; pass an "
                "id from its column user_id."
            )
        if joined.positions_P[rows[user]] == NOWHERE:
            raise OptionError(
                f"`users` names '{name}', who has a profile, but is not in the manifest; pass the "
                "manifest that was predicted."
            )
    return np.array(sorted(rows.values()), np.int64)


def _mistakes(joined: Joined, wanted: int) -> NDArray[np.int64]:
    """Return the rows of the most confident mistakes of each trait."""
    if joined.truth_PT is None:
        raise OptionError(
            "`mistakes` needs labels to compare with, and there are none; pass a manifest with "
            "labels as `labels`."
        )
    traits = len(joined.predictions.schema.traits)
    best = [_Most(wanted) for _ in range(traits)]
    for first, predicted in in_parts(joined.predictions):
        for trait in range(traits):
            rows, confidence = _mistakes_of(joined, first, predicted, trait)
            best[trait].add(rows, confidence)
    return np.concatenate([each.rows for each in best])


def _mistakes_of(
    joined: Joined, first: int, predicted: Predicted, trait: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows of a part with a mistake, and how confident each is."""
    assert joined.truth_PT is not None
    guess = predicted.classes_RT[:, trait]
    part = slice(first, first + len(guess))
    truth = joined.truth_PT[part, trait]
    known = (truth != UNKNOWN) & (guess >= 0) & (joined.positions_P[part] != NOWHERE)
    wrong = np.flatnonzero(known & (truth != guess))
    confidence = predicted.confidences[trait]
    if confidence is None:
        name = joined.predictions.schema.names[trait]
        raise OptionError(
            f"`mistakes` needs probabilities, and {joined.predictions.path} has none of '{name}'; "
            "choose users by `sample` or `users`."
        )
    return wrong + first, confidence[wrong]


class _Most:
    """The rows with the highest confidences of those added so far; of equals, the first."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.rows = np.empty(0, np.int64)
        self._confidence = np.empty(0)

    def add(self, rows: NDArray[np.int64], confidence: NDArray[np.float64]) -> None:
        every = np.concatenate([self.rows, rows])
        values = np.concatenate([self._confidence, confidence])
        kept = np.argsort(-values, kind="stable")[: self._wanted]
        self.rows, self._confidence = every[kept], values[kept]
