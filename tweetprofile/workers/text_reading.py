"""What a model says of users' texts, and of images and texts together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tweetprofile.checkpoints.text_part import TextPart
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.scoring.fusion import fuse
from tweetprofile.texts.ngrams import NgramCounts, count_ngrams
from tweetprofile.workers.evidence import Explanation, Explanations
from tweetprofile.workers.profiles import Probabilities, UserOutcome

TEXT_BATCH_SIZE = 32
"""The users per batch of a model that reads texts alone, which takes some 60 ms for them."""

PROCESSORS_PER_READER = 1
"""The processors that a worker keeps busy with texts alone, which are counted by Python in part."""


def count_texts(part: TextPart, users: Sequence[UserImages]) -> list[NgramCounts]:
    """Count the n-grams of the texts of each user."""
    return [count_ngrams(user.texts, part.header.spec, user.profile) for user in users]


def probabilities_by_texts(part: TextPart, counts: Sequence[NgramCounts]) -> Probabilities:
    """Return the calibrated probabilities of users by the n-grams of their texts alone."""
    rows = [part.model.logits(each) for each in counts]
    return {
        trait: _softmax(
            np.stack([row[trait] for row in rows]) / part.header.temperatures[trait]
            if rows
            else np.empty((0, classes))
        )
        for trait, classes in part.model.classes.items()
    }


def explain_texts(
    part: TextPart, users: Sequence[UserImages], counts: Sequence[NgramCounts]
) -> list[tuple[Explanation, Explanation]]:
    """Return what texts, and fields of profiles, add to the calibrated logits of texts alone.

    Blank texts and fields are left out.

    Args:
        part: The model of texts.
        users: The users.
        counts: The n-grams of all texts and fields of each user.

    Returns:
        For each user, what each text adds, and what each field adds.
    """
    spec, found = part.header.spec, []
    for user, together in zip(users, counts, strict=True):
        texts = user.texts if "texts" in spec.sources else ()
        used = [index for index, text in enumerate(texts) if text and not text.isspace()]
        fields = [name for name in spec.profile_fields if user.profile.get(name, "").strip()]
        each = [count_ngrams([user.texts[index]], spec) for index in used]
        each += [count_ngrams([], spec, {name: user.profile[name]}) for name in fields]
        added = {
            trait: rows / part.header.temperatures[trait]
            for trait, rows in part.model.contributions(together, each).items()
        }
        by_texts = {trait: rows[: len(used)] for trait, rows in added.items()}
        by_fields = {trait: rows[len(used) :] for trait, rows in added.items()}
        # Of too many texts, the first ones are left out.
        indexes = [user.texts_left_out + index for index in used]
        found.append((Explanation(indexes, by_texts), Explanation(fields, by_fields)))
    return found


def weigh_explanations(
    part: TextPart, explanations: Explanations, outcomes: Sequence[UserOutcome]
) -> Explanations:
    """Return what images and texts add to the logits of both, where there are both of a user.

    The fields of profiles are weighted as texts are.
    """
    if not part.header.fusion or explanations.texts is None:
        return explanations
    by_images = {trait: fusion.images for trait, fusion in part.header.fusion.items()}
    by_texts = {trait: fusion.texts for trait, fusion in part.header.fusion.items()}
    images, texts = list(explanations.images), list(explanations.texts)
    profile = list(explanations.profile or ())
    for user in np.flatnonzero(np.logical_and(*seen_in(outcomes))):
        images[user] = images[user].weighted(by_images)
        texts[user] = texts[user].weighted(by_texts)
        if profile:
            profile[user] = profile[user].weighted(by_texts)
    return Explanations(images, texts, profile if explanations.profile is not None else None)


def combine(
    part: TextPart,
    by_images: Probabilities,
    by_texts: Probabilities,
    outcomes: Sequence[UserOutcome],
) -> Probabilities:
    """Return the probabilities of users by all that there is of each: images, texts or both."""
    if not part.header.fusion:
        return by_texts
    seen = seen_in(outcomes)
    return {
        trait: fuse(by_images[trait], by_texts[trait], seen, fusion)
        for trait, fusion in part.header.fusion.items()
    }


def seen_in(outcomes: Sequence[UserOutcome]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which users have usable images, and which have texts (N,) each."""
    images = np.array([each.frames_used > 0 for each in outcomes], bool)
    texts = np.array([each.texts is not None and each.texts.is_seen for each in outcomes], bool)
    return images, texts


def _softmax(logits_NK: NDArray[np.floating]) -> NDArray[np.float32]:
    shares = np.exp(logits_NK.astype(np.float64) - logits_NK.max(axis=1, initial=0, keepdims=True))
    probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)
