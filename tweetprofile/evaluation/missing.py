"""Say once what predictions of another program do not give, and what an evaluation lacks for it."""

from collections.abc import Sequence

from tweetprofile.evaluation.leakage import Leakage
from tweetprofile.evaluation.matching import MatchedUsers


def sentence_on_missing(matched: MatchedUsers, leakage: Leakage) -> str | None:
    """Return a sentence on what foreign predictions do not give; None if nothing is missing.

    Args:
        matched: The predictions, matched with labels.
        leakage: What was found out about leakage.
    """
    predictions = matched.predictions
    if not predictions.is_foreign:
        return None
    absent, left_out = [], []
    unsure = [each.trait.name for each in matched.traits if not each.knows_confidence]
    if unsure:
        absent.append("no probabilities" + _of(unsure, matched))
        left_out += [f"no calibration{_of(unsure, matched)}", "no coverage"]
    if not predictions.knows_frames:
        absent.append("no numbers of images")
        left_out.append("no accuracy by number of images")
    is_named = predictions.knows_checkpoint or leakage.is_stated
    if leakage.unchecked is not None and not is_named:
        absent.append("no record of their model")
        left_out.append("no check whether it was trained on these users")
    if not absent:
        return None
    return f"The predictions give {_listed(absent)}, so there is {_listed(left_out)}."


def _of(traits: Sequence[str], matched: MatchedUsers) -> str:
    """Return the names of some traits, to follow a noun; nothing if it is all of them."""
    return "" if len(traits) == len(matched.traits) else f" of {_listed(traits)}"


def _listed(words: Sequence[str]) -> str:
    """Return words with commas, and "and" before the last of them."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
