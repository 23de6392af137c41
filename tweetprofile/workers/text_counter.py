"""Users in, the counts of their texts' n-grams out; training caches these tables."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa
import torch

from tweetprofile.data.manifests.users import UserImages
from tweetprofile.job import PredictorOptions, WorkerFacts
from tweetprofile.stages import Stage, StageClock
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import TextSpec
from tweetprofile.workers.feature_rows import make_count_rows
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.profiles import TextOutcome, UserOutcome
from tweetprofile.workers.text_reading import PROCESSORS_PER_READER

USERS_AT_ONCE = 32
"""The number of users per task: half a second of work, and some megabytes of texts."""


class TextCounter:
    """Counts the n-grams of users' texts on the CPU.

    Args:
        spec: How to normalise texts, and which n-grams to count.
        options: Not used: no image is read.
        compute_slot: The context entered to count; None for no limit.
        observer: Not used: no image is decoded.
    """

    def __init__(
        self,
        spec: TextSpec,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        self._spec = spec
        self._compute_slot = compute_slot or nullcontext()
        self._clock = StageClock()
        self.facts = WorkerFacts(
            device="cpu",
            decoder="pillow",
            batch_size=options.batch_size or USERS_AT_ONCE,
            cuda_devices=torch.cuda.device_count(),
            processors_per_worker=PROCESSORS_PER_READER,
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the n-grams of each user's texts, one row per user, in order."""
        outcomes, rows = [], []
        with self._compute_slot, self._clock.timing(Stage.TEXTS):
            for user in users:
                counts = count_ngrams(user.texts, self._spec)
                rows.append((counts.buckets_J.tobytes(), counts.counts_J.tobytes()))
                images_given = len(user.images) + user.left_out
                texts = TextOutcome.of(user)
                outcomes.append(UserOutcome(user.user_id, images_given, 0, (), texts=texts))
        return make_count_rows(outcomes, rows)
