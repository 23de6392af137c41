"""Read what each image and text contributed to a prediction.

The columns `evidence` and `text_evidence` of profiles list images and texts by their position, and
`profile_evidence` lists the fields of users' own profiles by name, each with its contribution to
the predicted class of every trait: to the logit of that class, centred over the classes. The
description of the profiles says under `evidence` how contributions were known: `exact` if the
network adds them up, `leave_one_out` if each is how much the logit falls when an image is left out.
Together with `evidence_base` they add up to the logit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.traits import TraitSchema
from tweetprofile.workers.evidence import (
    EVIDENCE,
    EVIDENCE_BASE,
    EVIDENCE_COLUMNS,
    PROFILE_EVIDENCE,
    TEXT_EVIDENCE,
)

COLUMNS = EVIDENCE_COLUMNS
"""The columns of profiles that hold evidence."""

WAYS = ("exact", "leave_one_out")
"""How contributions may have been found."""

UNKNOWN = "unknown"

MOST_TEXTS = 8
"""The number of texts that are listed per trait, those that contributed most."""

Contributions = tuple[float | None, ...]
"""The contribution to each trait, in the order of the schema; None where it is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was said for and against the predicted classes of one user.

    Attributes:
        base: What the model says before any image and text.
        images: The contributions of images, by their position in the user's list.
        texts: The contributions of the most telling texts, by their position.
        fields: The contributions of the fields of the user's own profile, by their names.
        image_counts: The number of images that have a contribution to each trait.
        text_counts: The number of texts that have a contribution to each trait.
    """

    base: Contributions
    images: Mapping[int, Contributions]
    texts: Mapping[int, Contributions]
    fields: Mapping[str, Contributions]
    image_counts: tuple[int, ...]
    text_counts: tuple[int, ...]


def way_of(description: Mapping[str, Any]) -> str:
    """Return how contributions were found, as the description of profiles says it.

    Profiles that went through another program have lost their description: `UNKNOWN`.
    """
    way = description.get(EVIDENCE)
    return way if way in WAYS else UNKNOWN


def read_evidence(row: Mapping[str, Any], schema: TraitSchema) -> Evidence | None:
    """Return the evidence in a row of profiles; None if it has none."""
    images = row.get(EVIDENCE)
    if images is None:
        return None
    seen = _by_index(images, schema)
    texts = _by_index(row.get(TEXT_EVIDENCE) or (), schema)
    traits = len(schema.traits)
    return Evidence(
        base=_contributions(row.get(EVIDENCE_BASE) or {}, schema),
        images=seen,
        texts=_most_telling(texts, traits),
        fields=_by_field(row.get(PROFILE_EVIDENCE) or (), schema),
        image_counts=_counts(seen, traits),
        text_counts=_counts(texts, traits),
    )


def _by_index(entries: Sequence[Any], schema: TraitSchema) -> dict[int, Contributions]:
    return {
        int(each["index"]): _contributions(each["contributions"] or {}, schema)
        for each in entries
        if each is not None and each.get("index") is not None and each["index"] >= 0
    }


def _by_field(entries: Sequence[Any], schema: TraitSchema) -> dict[str, Contributions]:
    given = {each["field"]: each["contributions"] or {} for each in entries if each is not None}
    return {name: _contributions(given[name], schema) for name in PROFILE_COLUMNS if name in given}


def _counts(parts: Mapping[int, Contributions], traits: int) -> tuple[int, ...]:
    """Return the number of images or texts that have a contribution to each trait."""
    return tuple(sum(each[trait] is not None for each in parts.values()) for trait in range(traits))


def _contributions(given: Mapping[str, Any], schema: TraitSchema) -> Contributions:
    return tuple(_finite(given.get(trait.name)) for trait in schema)


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _most_telling(texts: Mapping[int, Contributions], traits: int) -> dict[int, Contributions]:
    """Return the texts that contributed most to some trait, in their order."""
    kept: set[int] = set()
    for trait in range(traits):
        ranked = sorted(texts, key=lambda index: -abs(texts[index][trait] or 0.0))
        kept.update(index for index in ranked[:MOST_TEXTS] if texts[index][trait])
    return {index: texts[index] for index in sorted(kept)}
