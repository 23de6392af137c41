"""What each image and each text of a user contributes to the predicted class of a trait.

A contribution is to the centred logit of the predicted class, which is the logarithm of its
probability minus the mean logarithm over all classes. So it can be checked with the probabilities
of the same row: the base and all contributions of a user add up to it. Where images are left out
one by one, they do not add up by themselves, and the base holds the rest.

Shapes: N users, F images or texts of one user, M those of all users, K classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tweetprofile.traits import Trait, TraitSchema

EVIDENCE = "evidence"
"""The column of what images contribute, and the recorded fact that says how it is known."""

TEXT_EVIDENCE = "text_evidence"
"""The column of what texts contribute."""

PROFILE_EVIDENCE = "profile_evidence"
"""The column of what the fields of users' own profiles contribute."""

EVIDENCE_BASE = "evidence_base"
"""The column of what a model says before any image and text."""

EVIDENCE_COLUMNS = (EVIDENCE, TEXT_EVIDENCE, PROFILE_EVIDENCE, EVIDENCE_BASE)
"""All columns that evidence may have."""

_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the images, the texts, or the fields of the profile of one user contribute.

    Attributes:
        indexes: (F,) their positions in the user's list; of fields, their names.
        contributions: (F, K) by trait name: what each adds to the calibrated logits. Traits that
            are missing have no contribution.
    """

    indexes: Sequence[int] | Sequence[str] = ()
    contributions: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)

    def weighted(self, weights: Mapping[str, float]) -> "Explanation":
        """Return the contributions times a weight per trait."""
        weighted = {name: weights[name] * each for name, each in self.contributions.items()}
        return Explanation(self.indexes, weighted)


@dataclass(frozen=True, slots=True)
class Explanations:
    """What is known of N users.

    Attributes:
        images: What the images of each user contribute.
        texts: What the texts of each user contribute; None if the model reads no texts.
        profile: What the fields of each user's profile contribute; None if it reads none.
    """

    images: Sequence[Explanation]
    texts: Sequence[Explanation] | None = None
    profile: Sequence[Explanation] | None = None


def centred_logits(probabilities_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return logits whose mean over the classes is 0, and whose softmax are these probabilities."""
    logs = np.log(np.maximum(probabilities_NK.astype(np.float64), _SMALLEST))
    centred: NDArray[np.float64] = logs - logs.mean(axis=1, keepdims=True)
    return centred


def leave_one_out(
    predict: Callable[[int], Mapping[str, NDArray[np.float32]]],
    probabilities: Mapping[str, NDArray[np.float32]],
    frames_N: Sequence[int],
) -> dict[str, NDArray[np.float64]]:
    """Return by how much the logits fall if a frame is left out: (N, D, K) by trait name.

    Without their only frame, users have no prediction; all classes count as equally probable then.

    Args:
        predict: A function that returns the probabilities (N, K) without the frame at a position;
            the rows of users who have no such frame are not used.
        probabilities: The probabilities with all frames.
        frames_N: The number of frames of each user.
    """
    most, frames = max(frames_N, default=0), np.array(frames_N)
    shapes = {name: (len(frames), most, rows.shape[1]) for name, rows in probabilities.items()}
    found = {name: np.zeros(shape) for name, shape in shapes.items()}
    for position in range(most):
        has_it, has_others = frames > position, frames > 1
        for name, rows in predict(position).items():
            without = centred_logits(rows) * has_others[:, None]
            change = centred_logits(probabilities[name]) - without
            found[name][:, position] = change * has_it[:, None]
    return found


def evidence_fields(schema: TraitSchema, *, texts: bool, profile: bool) -> list[pa.Field]:
    """Return the columns of evidence.

    Args:
        schema: The traits.
        texts: Whether the model reads texts.
        profile: Whether it reads fields of users' profiles, too.
    """
    per_trait = pa.struct([(name, pa.float32()) for name in schema.names])
    item = pa.struct([("index", pa.int32()), ("contributions", per_trait)])
    field_item = pa.struct([("field", pa.string()), ("contributions", per_trait)])
    return [
        pa.field(EVIDENCE, pa.list_(item)),
        *([pa.field(TEXT_EVIDENCE, pa.list_(item))] if texts else []),
        *([pa.field(PROFILE_EVIDENCE, pa.list_(field_item))] if profile else []),
        pa.field(EVIDENCE_BASE, per_trait),
    ]


def evidence_columns(
    schema: TraitSchema,
    is_seen: NDArray[np.bool_],
    probabilities: Mapping[str, NDArray[np.float32]],
    explanations: Explanations,
) -> list[pa.Array]:
    """Return the columns of `evidence_fields`.

    Args:
        schema: The traits.
        is_seen: (N,) which users have a prediction; others have no evidence.
        probabilities: (N, K) by trait name.
        explanations: What the images and texts of the users contribute.
    """
    bases = {}
    for name in schema.names:
        rows = probabilities[name]
        bases[name] = centred_logits(rows)[np.arange(len(rows)), rows.argmax(axis=1)]
    texts, profile = explanations.texts, explanations.profile
    fields = evidence_fields(schema, texts=texts is not None, profile=profile is not None)
    columns = []
    every = [each for each in (explanations.images, texts, profile) if each is not None]
    for given, column in zip(every, fields[:-1], strict=True):
        source = _only(given, is_seen)
        lengths = [len(each.indexes) for each in source]
        owners_M = np.repeat(np.arange(len(source)), lengths)
        values = {}
        for trait in schema:
            best_M = probabilities[trait.name].argmax(axis=1)[owners_M]
            values[trait.name] = _of_best(trait, source, best_M)
            bases[trait.name] -= np.bincount(owners_M, values[trait.name], len(source))
        columns.append(_lists(source, values, lengths, column.type))
    base = pa.StructArray.from_arrays(
        [pa.array(bases[name].astype(np.float32)) for name in schema.names],
        fields=list(fields[-1].type),
        mask=pa.array(~is_seen),
    )
    return [*columns, base]


def _only(source: Sequence[Explanation], is_seen: NDArray[np.bool_]) -> list[Explanation]:
    nothing = Explanation()
    return [each if seen else nothing for each, seen in zip(source, is_seen, strict=True)]


def _of_best(
    trait: Trait, source: Sequence[Explanation], best_M: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the contributions (M,) to the centred logit of the predicted class."""
    classes = len(trait.classes)
    each = [
        one.contributions.get(trait.name, np.zeros((len(one.indexes), classes))) for one in source
    ]
    flat_MK = np.concatenate([np.zeros((0, classes)), *each]).astype(np.float64)
    centred_MK = flat_MK - flat_MK.mean(axis=1, keepdims=True)
    of_best: NDArray[np.float64] = centred_MK[np.arange(len(flat_MK)), best_M]
    return of_best


def _lists(
    source: Sequence[Explanation],
    values: Mapping[str, NDArray[np.float64]],
    lengths: Sequence[int],
    kind: pa.DataType,
) -> pa.ListArray:
    """Return a list per user with the position, or the name, and the contributions of each."""
    item = kind.value_type
    indexes = [index for each in source for index in each.indexes]
    contributions = pa.StructArray.from_arrays(
        [pa.array(values[field_.name].astype(np.float32)) for field_ in item.field(1).type],
        fields=list(item.field(1).type),
    )
    items = pa.StructArray.from_arrays(
        [pa.array(indexes, item.field(0).type), contributions], fields=list(item)
    )
    ends = np.cumsum([0, *lengths]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), items)
