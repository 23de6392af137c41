"""Predictions to evaluate: profiles that `predict` wrote, or a table of any other origin."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tweetprofile.data.files.provenance import METADATA_KEY, read_description
from tweetprofile.data.files.storage import AnyPath, arrow_source, as_path
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.foreign_csv import csv_names, is_csv
from tweetprofile.evaluation.foreign_tables import FRAMES, Labels, read_foreign
from tweetprofile.evaluation.table_files import UNREADABLE, first_line, open_parquet
from tweetprofile.evaluation.written_profiles import WrittenFacts, read_written
from tweetprofile.traits import TraitSchema
from tweetprofile.workers.profiles import IMAGES, confidence_column, probabilities_column


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions of users' traits, whoever made them.

    Attributes:
        name: The name by which reports and tables call them.
        path: The file or folder that they were read from.
        schema: The traits that they predict.
        facts: The network, the checkpoint, the version and the limits that made them, as far as
            recorded; empty for predictions of other programs.
        table: The columns `user_id` and, per trait, its class; `{trait}_probabilities`, or else
            `{trait}_confidence`, and `frames_used`, where they are given; also those of `parts`.
        sees: What the model looks at: `images`, `texts` or both; empty if that is unknown.
        parts: What each trait has probabilities from alone, too; empty, or both.
        is_foreign: Whether they are other than the Parquet files that `predict` writes.
        remarks: Sentences about what looks odd in predictions of other programs.
    """

    name: str
    path: AnyPath
    schema: TraitSchema
    facts: Mapping[str, Any]
    table: pa.Table
    sees: tuple[str, ...] = (IMAGES,)
    parts: tuple[str, ...] = ()
    is_foreign: bool = field(default=False, kw_only=True)
    remarks: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def read(
        cls, path: str | AnyPath, *, labels: Labels | None = None, every_trait: bool = False
    ) -> "Predictions":
        """Read Parquet (a file, or a folder of files, also in an object store) or a CSV file.

        Args:
            path: The file or folder.
            labels: The classes of the labels, by trait. In a table that `predict` did not write,
                the columns of these names are the traits, and their classes are those of labels and
                predictions. Without `labels`, every column that can hold classes is a trait.
            every_trait: Whether columns that are not named after a label are traits, too.

        Raises:
            PredictionsError: The path does not exist or contains something other than predictions.
        """
        path = as_path(path)
        if isinstance(path, Path) and not path.exists():
            raise PredictionsError(
                f"{path} does not exist; pass the file or folder that 'tweetprofile predict' wrote."
            )
        name = path.stem or str(path)
        if not is_foreign(path):
            written, table = read_written(path)
            return cls(
                name, path, written.schema, written.facts, table, written.sees, written.parts
            )
        recorded = _recorded(path)
        if recorded is not None:
            labels, every_trait = recorded.schema.to_dict(), False
        found = read_foreign(path, labels, every_trait=every_trait)
        return cls(
            name,
            path,
            found.schema,
            recorded.facts if recorded is not None else {},
            found.table,
            sees=recorded.sees if recorded is not None else (),
            is_foreign=True,
            remarks=found.remarks if recorded is None else (),
        )

    def renamed(self, name: str) -> "Predictions":
        """Return the same predictions under another name."""
        return replace(self, name=name)

    def knows_confidence(self, trait: str) -> bool:
        """Return whether a trait has probabilities or confidences."""
        columns = self.table.column_names
        return probabilities_column(trait) in columns or confidence_column(trait) in columns

    @property
    def knows_frames(self) -> bool:
        """Whether each user's number of usable images is known."""
        return FRAMES in self.table.column_names

    @property
    def knows_checkpoint(self) -> bool:
        """Whether the checkpoint that made them is recorded."""
        return self.facts.get("checkpoint_sha256") is not None

    def failed_images(self) -> "FailedImages":
        """Read which images of each user were tried and are unusable.

        Raises:
            PredictionsError: The files do not say so.
        """
        counts, indexes = [], []
        try:
            for batch in open_parquet(self.path)[0].to_batches(columns=["image_errors"]):
                errors = batch.column("image_errors")
                counts.append(pc.fill_null(pc.list_value_length(errors), 0).to_numpy())
                index = pc.struct_field(errors.flatten(), "index").cast(pa.int64())
                indexes.append(pc.fill_null(index, -1))
            ends = np.concatenate([[0], *counts]).cumsum()
            found = pa.chunked_array(indexes, pa.int64()).to_numpy()
            if len(ends) != len(self.table) + 1 or ends[-1] != len(found):
                raise ValueError("its files have changed")
        except UNREADABLE as error:
            raise PredictionsError(
                f"{self.path} does not say which images are unusable ({first_line(error)}); "
                "predict that manifest again."
            ) from None
        return FailedImages(ends.astype(np.int64), found)


@dataclass(frozen=True, slots=True)
class FailedImages:
    """The images that were tried and are unusable, for each row of predictions.

    Attributes:
        ends: (rows + 1,) where the positions of each row begin and end.
        positions: The positions in the lists of the users, row after row.
    """

    ends: NDArray[np.int64]
    positions: NDArray[np.int64]

    def of(self, row: int) -> frozenset[int]:
        """Return the positions of one row."""
        begin, end = self.ends[row : row + 2]
        return frozenset(self.positions[begin:end].tolist())


def is_foreign(path: str | AnyPath) -> bool:
    """Return whether predictions are CSV, or Parquet without the record of `predict`.

    Files that cannot be read count as those of `predict`, whose reader says what is wrong with
    them.
    """
    path = as_path(path)
    if is_csv(path):
        return True
    try:
        files = open_parquet(path)[1]
        metadata = pq.read_metadata(arrow_source(files[0])).metadata or {}
    except UNREADABLE:
        return False
    return METADATA_KEY.encode() not in metadata


def _recorded(path: AnyPath) -> WrittenFacts | None:
    """Return what the record next to a CSV file of `predict` says, unless the file was changed."""
    if not is_csv(path) or not isinstance(path, Path):
        return None
    try:
        return WrittenFacts.of(read_description(path), csv_names(path))
    except UNREADABLE:
        return None
