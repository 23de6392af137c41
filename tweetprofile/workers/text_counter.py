"""Users in, the counts of their texts' n-grams out; training caches these tables."""

from collections.abc import Sequence

import pyarrow as pa

from tweetprofile.data.manifests.users import UserImages
from tweetprofile.stages import Stage
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.workers.feature_rows import make_count_rows
from tweetprofile.workers.profiles import TextOutcome, UserOutcome
from tweetprofile.workers.text_worker import TextWorker


class TextCounter(TextWorker):
    """Counts the n-grams of users' texts."""

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the n-grams of each user's texts, one row per user, in order."""
        outcomes, rows = [], []
        with self._compute_slot, self._clock.timing(Stage.TEXTS):
            for user in users:
                counts = count_ngrams(user.texts, self._spec, user.profile)
                rows.append((counts.buckets_J.tobytes(), counts.counts_J.tobytes()))
                images_given = len(user.images) + user.left_out
                texts = TextOutcome.of(user, self._spec)
                outcomes.append(UserOutcome(user.user_id, images_given, 0, (), texts=texts))
        return make_count_rows(outcomes, rows)
