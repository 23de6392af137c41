"""Users in, the n-grams behind some buckets out, as far as the users' texts have them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa

from tweetprofile.data.manifests.users import UserImages
from tweetprofile.job import PredictorOptions
from tweetprofile.stages import Stage
from tweetprofile.texts.naming import name_ngrams
from tweetprofile.texts.spec import TextSpec
from tweetprofile.workers.feature_rows import make_name_rows
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.profiles import UserOutcome
from tweetprofile.workers.text_worker import TextWorker


class TextNamer(TextWorker):
    """Names the n-grams of users' texts that are in some buckets.

    Args:
        spec: How to normalise texts, and which n-grams to count.
        buckets: The buckets, as the bytes of uint32 in rising order.
        options: See `TextWorker`, as for the others.
        compute_slot: The context in which to compute; None to compute at any time.
        observer: Not used.
    """

    def __init__(
        self,
        spec: TextSpec,
        buckets: bytes,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        super().__init__(spec, options, compute_slot, observer)
        self._buckets_W = np.frombuffer(buckets, np.uint32)

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the n-grams of each user that are in the buckets, one row per user, in order."""
        outcomes, rows = [], []
        with self._compute_slot, self._clock.timing(Stage.TEXTS):
            for user in users:
                rows.append(name_ngrams(user.texts, self._spec, self._buckets_W, user.profile))
                outcomes.append(UserOutcome(user.user_id, len(user.images), 0, ()))
        return make_name_rows(outcomes, rows)
