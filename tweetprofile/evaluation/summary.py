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
        trait: The name of the trait.
        accuracy: The share of users whose prediction is right, as text.
        interval: Its 95% interval, as text.
        majority: The share that the majority baseline gets right, as text.
        difference: How many points the predictions are ahead of it, with its sign.
        verdict: `better`, `worse` or `no better` than the majority baseline.
        sentence: All of this as a sentence.
    """

    trait: str
    accuracy: str
    interval: str
    majority: str
    difference: str
    verdict: str
    sentence: str


def summarise(evaluation: Evaluation, trait: str) -> TraitSummary:
    """Summarise a trait: how many predictions are right, and whether that is more than chance."""
    metrics, ahead = evaluation.traits[trait], evaluation.ahead[trait]["accuracy"]
    interval = evaluation.intervals[trait]["accuracy"]
    right = round(metrics.scores.accuracy * metrics.users)
    accuracy, majority = (
        _share(each.accuracy, metrics.users) for each in (metrics.scores, metrics.majority)
    )
    between = f"{_share(interval.low, metrics.users)} to {_share(interval.high, metrics.users)}"
    class_ = printable(metrics.majority_class, 60)
    points = 100 * (metrics.scores.accuracy - metrics.majority.accuracy)
    return TraitSummary(
        trait=trait,
        accuracy=accuracy,
        interval=between,
        majority=majority,
        difference=f"{points:+.0f}" if metrics.users < _PER_CENT_OF else f"{points:+.1f}",
        verdict=_verdict(ahead),
        sentence=(
            f"{right:,} of {metrics.users:,} users are predicted correctly: {accuracy} (95% "
            f"interval {between}). Always answering “{class_}” is correct for {majority}. "
            f"{_against(ahead, metrics.users)}{_few(metrics.users)}"
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
