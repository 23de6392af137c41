"""The n-grams that speak most for each class, written next to a model that has only their buckets.

Only n-grams that several training users wrote are kept, so that the file names no single user's
words.

Shapes: F n-grams that a model knows, K classes of a trait.
"""

import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.engines.jobs import NameJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.job import PredictorOptions
from tweetprofile.texts.model import TextModel
from tweetprofile.training.folder import VOCABULARY
from tweetprofile.training.plan import TrainingPlan
from tweetprofile.training.texts.counts import USERS_PER_SHARD, source_of
from tweetprofile.training.writing import explain_write_errors
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.spreadsheets import Cell, write_rows
from tweetprofile.version import __version__
from tweetprofile.workers.feature_rows import NGRAMS

_MOST, _CANDIDATES = 100, 400
"""The largest number of n-grams per class and block: written, and looked for. Too few users wrote
some of those that are looked for."""

_FEWEST_USERS, _FEWEST_SHARE = 5, 0.01
"""An n-gram is kept if at least this number and this share of the training users wrote it."""

_COLUMNS = ("trait", "class", "kind", "ngram", "users", "weight")


@dataclass(frozen=True, slots=True)
class Telling:
    """An n-gram that speaks for a class.

    Attributes:
        trait: The trait.
        name: The class.
        kind: What the n-gram is; see `NgramBlock.kind`.
        bucket: Its bucket.
        weight: Its weight for the class minus the mean over all classes, times its inverse document
            frequency. It ranks n-grams of one kind, and is no logit.
    """

    trait: str
    name: str
    kind: str
    bucket: int
    weight: float


def write_vocabulary(plan: TrainingPlan, model: TextModel, users_N: NDArray[np.int64]) -> None:
    """Write the n-grams that speak most for each class, as far as enough users wrote them.

    Args:
        plan: The training.
        model: The model that it led to.
        users_N: The numbers of the training users in the manifest.

    Raises:
        WriteError: The file cannot be written.
    """
    telling = list(most_telling(model, plan.found.schema))
    users, fewest = _users_of(plan, model, sorted({each.bucket for each in telling}), users_N)
    rows: list[list[Cell]] = [[*_COLUMNS, f"written by tweetprofile {__version__}"]]
    written: Counter[tuple[str, str, str]] = Counter()
    for each in telling:
        ngram, count = users.get(each.bucket, ("", 0))
        place = each.trait, each.name, each.kind
        if count >= fewest and written[place] < _MOST:
            written[place] += 1
            weight = round(each.weight, 4)
            rows.append([each.trait, each.name, each.kind, ngram, count, weight])
    text = io.StringIO(newline="")
    write_rows(text, rows)
    path = plan.folder / VOCABULARY
    with explain_write_errors(path):
        write_atomically(path, text.getvalue().encode(), is_earlier(Kind.VOCABULARY))


def most_telling(model: TextModel, schema: TraitSchema) -> Iterator[Telling]:
    """Yield the n-grams that speak most for each class, the strongest first, block by block."""
    terms, column = model.terms, 0
    ends = (*terms.block_starts[1:], len(terms.buckets_F))
    for trait in schema:
        weights_FK = model.weights_FK[:, column : column + len(trait.classes)].astype(np.float32)
        column += len(trait.classes)
        weights_FK = (weights_FK - weights_FK.mean(axis=1, keepdims=True)) * terms.idf_F[:, None]
        for number, name in enumerate(trait.classes):
            for start, end, block in zip(terms.block_starts, ends, terms.spec.blocks, strict=True):
                for place in _largest(weights_FK[start:end, number]):
                    weight = float(weights_FK[start + place, number])
                    bucket = int(terms.buckets_F[start + place])
                    yield Telling(trait.name, name, block.kind, bucket, weight)


def _largest(weights: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the places of the largest positive weights, the largest first."""
    order = np.argsort(-weights, kind="stable")[:_CANDIDATES]
    return order[weights[order] > 0]


def _users_of(
    plan: TrainingPlan, model: TextModel, buckets: list[int], users_N: NDArray[np.int64]
) -> tuple[dict[int, tuple[str, int]], int]:
    """Return the most frequent n-gram of each bucket with its users, and how many are enough."""
    manifest = plan.manifest
    total = manifest.count_users()
    shards = source_of(manifest, total, model.terms.spec, plan.options.text_limits)
    job = NameJob(
        model.terms.spec,
        np.array(buckets, np.uint32).tobytes(),
        options=PredictorOptions(),
        rows=shards.content_rows,
    )
    found: Counter[tuple[int, str]] = Counter()
    is_training_user = np.isin(np.arange(total), users_N)
    with LocalEngine(job, EngineOptions("cpu", users=total)) as engine:
        for batch, rows in engine.run_shards(shards, range(-(-total // USERS_PER_SHARD))):
            named = rows[NGRAMS].to_pylist()
            chosen = is_training_user[batch.first : batch.first + len(named)]
            for ngrams in compress(named, chosen):
                found.update(ngrams)
    best: dict[int, tuple[str, int]] = {}
    for (bucket, ngram), users in found.most_common():
        best.setdefault(bucket, (ngram, users))
    return best, max(_FEWEST_USERS, math.ceil(_FEWEST_SHARE * len(users_N)))
