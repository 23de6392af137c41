"""Two calibrated predictions of a trait as one: what images say, and what texts say.

Both start from the same knowledge of how frequent classes are. It is taken out of each before they
are weighted and added up, and counted once in the end; on a logarithmic scale::

    fused = prior + images * (by images - prior) + texts * (by texts - prior)

Two independent kinds of evidence have weights of 1; weights below tell that they repeat each other.

Shapes: N users, K classes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweetprofile.untrusted.fields import FieldError, build, list_of, number

_SMALLEST = 1e-6
"""The smallest probability that counts as evidence."""

_LARGEST_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the predictions of a trait are combined.

    Attributes:
        images: The weight of what images say.
        texts: The weight of what texts say.
        prior: The share of the training users in each class (K,); all are above 0.
    """

    images: float
    texts: float
    prior: tuple[float, ...]

    def combine(
        self, by_images_NK: NDArray[np.float32], by_texts_NK: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the fused probabilities (N, K) of users who have both."""
        prior_K = np.log(np.array(self.prior))
        logits_NK = (
            prior_K
            + self.images * (_log(by_images_NK) - prior_K)
            + self.texts * (_log(by_texts_NK) - prior_K)
        )
        shares = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
        fused: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return fused.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the fusion as JSON."""
        return asdict(self)


def fusion_from_dict(value: object, classes: int) -> Fusion:
    """Read untrusted JSON: the inverse of `Fusion.to_dict`.

    Args:
        value: The parsed JSON.
        classes: The number of classes of the trait.

    Raises:
        FieldError: A field is missing, of another type, or out of range.
    """
    readers = {"images": number, "texts": number, "prior": list_of(number)}
    fusion = build(Fusion, value, "fusion", readers)
    if not all(0 <= weight <= _LARGEST_WEIGHT for weight in (fusion.images, fusion.texts)):
        raise FieldError(f"a weight of a fusion must be from 0 to {_LARGEST_WEIGHT:g}")
    if len(fusion.prior) != classes or not all(0 < share <= 1 for share in fusion.prior):
        raise FieldError(f"the prior of a fusion must have {classes} shares above 0")
    return fusion


def fuse(
    by_images: NDArray[np.float32],
    by_texts: NDArray[np.float32],
    seen: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    fusion: Fusion,
) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of users by what there is of each user.

    Args:
        by_images: The probabilities by images.
        by_texts: The probabilities by texts.
        seen: Which users have usable images, and which have texts (N,) each.
        fusion: How to combine them for users who have both.
    """
    has_images, has_texts = seen
    fused = np.where(has_texts[:, None], by_texts, by_images)
    both = has_images & has_texts
    fused[both] = fusion.combine(by_images[both], by_texts[both])
    return np.where((has_images & ~has_texts)[:, None], by_images, fused).astype(np.float32)


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    return logs
