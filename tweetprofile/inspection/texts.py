"""Count texts, and take them out of batches before these go to workers, which need none."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.manifests.texts import decoded
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.inspection.counting import RangeFinder, ranked
from tweetprofile.inspection.report import TextTotals
from tweetprofile.inspection.scripts import scripts_of

LANGUAGE_COLUMNS = ("language", "lang")

_MOST_LANGUAGES = 1_000
"""The largest number of different languages that are counted, so that memory stays bounded."""

_COUNTED = ["texts", "texts_given", "texts_null", "texts_cut"]


class TextCounter:
    """Counts the texts of users.

    Args:
        language: The column of languages, which is only counted; None if there is none.
    """

    def __init__(self, language: str | None) -> None:
        self._language = language
        self._totals: Counter[str] = Counter()
        self._scripts: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._users = dict.fromkeys(("images and texts", "images only", "texts only", "neither"), 0)
        self._per_user, self._characters = RangeFinder(), RangeFinder()

    def counted(self, batches: Iterable[UserBatch]) -> Iterator[UserBatch]:
        """Count the texts of batches, and yield the batches without them."""
        for batch in batches:
            self.add(batch.table)
            yield replace(batch, table=batch.table.drop_columns(_COUNTED))

    def add(self, users: pa.Table) -> None:
        """Add the table of a batch."""
        given = users["texts_given"].to_numpy().astype(np.int64)
        images = users["images_given"].to_numpy() > 0
        self._per_user.add(given)
        for name, chosen in (
            ("images and texts", images & (given > 0)),
            ("images only", images & (given == 0)),
            ("texts only", ~images & (given > 0)),
            ("neither", ~images & (given == 0)),
        ):
            self._users[name] += int(chosen.sum())
        for chunk in users["texts"].chunks:
            self._add_texts(chunk.flatten())
        for name in ("given", "null", "cut"):
            self._totals[name] += int(users[f"texts_{name}"].to_numpy().sum())
        if self._language is not None and len(self._languages) < _MOST_LANGUAGES:
            for each in pc.value_counts(users[self._language].cast(pa.large_string())).to_pylist():
                if each["values"] is not None:
                    self._languages[each["values"]] += each["counts"]

    def _add_texts(self, texts: pa.LargeBinaryArray) -> None:
        strings = decoded(texts)
        # Bytes that are not UTF-8 were replaced, so that the text is another one.
        changed = pc.not_equal(strings.cast(pa.large_binary()), texts)
        self._totals["undecodable"] += pc.sum(changed).as_py() or 0
        self._totals["read"] += len(texts)
        scripts, characters = scripts_of(strings)
        self._scripts.update(scripts)
        self._characters.add(characters)

    def totals(self) -> TextTotals:
        """Return what was counted."""
        return TextTotals(
            given=self._totals["given"],
            left_out=self._totals["given"] - self._totals["read"],
            cut=self._totals["cut"],
            null=self._totals["null"],
            undecodable=self._totals["undecodable"],
            per_user=self._per_user.range(),
            characters=self._characters.range(),
            users=dict(self._users),
            scripts=ranked(self._scripts),
            languages=ranked(self._languages),
        )
