"""Say in plain sentences what the figures of an evaluation mean, above all against the baseline."""

from dataclasses import dataclass

from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.resampling import Difference
from tweetprofile.scoring.uncertainty import FEWEST_USERS
from tweetprofile.untrusted.text import printable

ARTIFICIAL = (
    "These users are artificial: a program drew their images and chose their traits at random. The "
    "figures show that the software works, and say nothing about people."
)

_PER_CENT_OF = 1_000
"""Users from which on a tenth of a per cent means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitSummary:
    """What the figures of one trait mean.

    Attributes:
        accuracy: The share of users whose prediction is right, as text.
        verdict: `better`, `worse` or `no better` than the majority baseline.
        sentence: How many predictions are right, and whether that is more than chance.
    """

    accuracy: str
    verdict: str
    sentence: str


def summarise(evaluation: Evaluation, trait: str) -> TraitSummary:
    """Summarise a trait: how many predictions are right, and whether that is more than chance."""
    metrics, ahead = evaluation.traits[trait], evaluation.ahead[trait]["accuracy"]
    interval, users = evaluation.intervals[trait]["accuracy"], metrics.users
    right = round(metrics.scores.accuracy * users)
    accuracy = _share(metrics.scores.accuracy, users)
    low, high = _share(interval.low, users), _share(interval.high, users)
    class_ = printable(metrics.majority_class, 60)
    return TraitSummary(
        accuracy=accuracy,
        verdict=_verdict(ahead),
        sentence=(
            f"{right:,} of {users:,} users {'is' if right == 1 else 'are'} predicted correctly: "
            f"{accuracy} (95% interval {low} to {high}). Always answering “{class_}” is correct "
            f"for {_share(metrics.majority.accuracy, users)}. {_against(ahead, users)}{_few(users)}"
        ),
    )


def _verdict(ahead: Difference) -> str:
    if ahead.interval.low > 0:
        return "better"
    return "worse" if ahead.interval.high < 0 else "no better"


def _against(ahead: Difference, users: int) -> str:
    """Return what the difference to the majority baseline means."""
    low, high = (_points(each, users) for each in (ahead.interval.low, ahead.interval.high))
    between = f"(95% interval of the difference: {low} to {high} points)"
    return {
        "better": f"The predictions are better than that {between}.",
        "worse": f"The predictions are worse than that {between}.",
        "no better": f"Whether the predictions are better than that cannot be told {between}.",
    }[_verdict(ahead)]


def _few(users: int) -> str:
    if users >= FEWEST_USERS:
        return ""
    return f" With fewer than {FEWEST_USERS} users, a few of them decide these figures."


def _share(value: float, users: int) -> str:
    return f"{value:.0%}" if users < _PER_CENT_OF else f"{value:.1%}"


def _points(value: float, users: int) -> str:
    points = f"{100 * value:+.0f}" if users < _PER_CENT_OF else f"{100 * value:+.1f}"
    return points.replace("-", "−")  # noqa: RUF001 - a minus sign, which is no hyphen
