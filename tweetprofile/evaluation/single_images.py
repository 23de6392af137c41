"""Predict each image of a user alone: what the baselines of an evaluation are made of.

A temporary manifest lists every image that the model used as a user of its own, and `predict` works
on it as on any other manifest: a network that takes a volume gets the image repeated, as it does
for a user who has only one. The temporary manifest is written and predicted piece by piece, so that
neither memory nor disk space grows with the number of images.

Shapes: U users of the manifest, K classes, S single images.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.checkpoints.choice import find_checkpoint
from tweetprofile.data.files.scratch import UsesScratch, no_room
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import MAX_IMAGES, UserBatch
from tweetprofile.errors import OptionError, PredictionsError, TooManyFailuresError
from tweetprofile.evaluation.matching import MatchedUsers
from tweetprofile.evaluation.table_files import probabilities_of
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.traits import Trait
from tweetprofile.volumes.choice import choose_frames
from tweetprofile.workers.profiles import probabilities_column

OnImages = Callable[[int, int], None]
"""Takes the number of single images that are predicted, and the number of all of them."""

_PIECE_BYTES = 2 << 30
"""Bytes of images, or of their paths, that the temporary manifest holds at a time."""

_USERS_AT_ONCE, _USERS_WITH_BYTES = 1024, 8
"""Users in memory at a time; fewer if the manifest holds their images."""

_IMAGES_PER_SHARD = 4096
_ROWS_AT_ONCE = 1 << 16

_PATHS = pa.large_list(pa.large_string())
_EMBEDDED = pa.large_list(pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleImages:
    """The probabilities that a model gives to single images, by user and trait.

    Attributes:
        images_U: The number of single images that were predicted; 0 for users without any.
        first: (U, K) by trait: the probabilities of the user's first usable image.
        mean: (U, K) by trait: the mean over the user's images.
    """

    images_U: NDArray[np.int64]
    first: Mapping[str, NDArray[np.float64]]
    mean: Mapping[str, NDArray[np.float64]]


def predict_single_images(
    manifest: Manifest,
    matched: MatchedUsers,
    options: PredictOptions,
    on_images: OnImages = lambda done, total: None,
) -> SingleImages:
    """Predict every image that the model used of the users who have a label.

    Args:
        manifest: The manifest of the users.
        matched: The predictions of the model, matched with the manifest.
        options: How to predict; the checkpoint must be the one that made the predictions.
        on_images: A function to call after every batch; see `OnImages`.

    Raises:
        PredictionsError: The predictions were made by another checkpoint.
        InputError: The manifest or an option cannot be used.
        WriteError: There is no room for temporary files.
        WorkerError: Workers keep crashing.
    """
    checkpoint = load_checkpoint(find_checkpoint(options.checkpoint))
    require_images(checkpoint)
    _require_its_own(matched, checkpoint)
    wanted = _WantedImages.of(matched, checkpoint.volume_spec.frames)
    collected = _Collected(matched.users, [each.trait for each in matched.traits])
    told = replace(
        options,
        checkpoint=checkpoint.path,
        image_root=options.image_root or manifest.folder,
        users_per_shard=_IMAGES_PER_SHARD,
        overwrite=True,
    )
    with _Piece(manifest, told) as piece:
        for owners_S, images in wanted.stream(manifest):
            piece.add(owners_S, images)
            if piece.bytes >= _PIECE_BYTES:
                piece.predict(collected, lambda done: on_images(done, wanted.total))
        piece.predict(collected, lambda done: on_images(done, wanted.total))
    return collected.result()


def require_images(checkpoint: Checkpoint) -> None:
    """Raise OptionError unless a model looks at images."""
    if not checkpoint.sees_images:
        raise OptionError(
            f"`baselines` predict single images, and {checkpoint.path} looks at no images; leave "
            "`baselines` out."
        )


def _require_its_own(matched: MatchedUsers, checkpoint: Checkpoint) -> None:
    """Raise PredictionsError unless a checkpoint made the predictions."""
    if matched.predictions.facts.get("checkpoint_sha256") != checkpoint.sha256:
        raise PredictionsError(
            f"{matched.predictions.path} was made by another model than {checkpoint.path}; "
            "for baselines, pass the `checkpoint` that made the predictions."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _WantedImages:
    """The images to predict: those that the model used, of the users who have a label.

    Attributes:
        used_U: The number of images that the model used; 0 for users without a label.
        matched: The predictions of the model.
        frames: The number of frames per volume.
    """

    used_U: NDArray[np.int64]
    matched: MatchedUsers
    frames: int

    @classmethod
    def of(cls, matched: MatchedUsers, frames: int) -> "_WantedImages":
        used_U = np.zeros(matched.users, np.int64)
        for each in matched.traits:
            used_U[each.rows_N] = np.minimum(each.frames_N, frames)
        return cls(used_U=used_U, matched=matched, frames=frames)

    @property
    def total(self) -> int:
        """The number of all images."""
        return int(self.used_U.sum())

    def stream(self, manifest: Manifest) -> Iterator[tuple[NDArray[np.int64], pa.StructArray]]:
        """Yield some images, each with the number of its user, in the order of the manifest."""
        failed = self.matched.predictions.failed_images()
        most = max(1, self.matched.predictions.facts.get("max_images", MAX_IMAGES))
        users = _USERS_WITH_BYTES if manifest.carries_bytes else _USERS_AT_ONCE
        for batch in manifest.batches(users, users, max_images=most):
            lists = batch.table["images"].combine_chunks()
            starts, counts = lists.offsets.to_numpy(), pc.list_value_length(lists).to_numpy()
            owners, positions = [], []
            for place, user in enumerate(self._users_of(batch)):
                if user is None:
                    continue
                unusable = failed.of(int(self.matched.rows_U[user]))
                chosen = choose_frames(int(counts[place]), self.frames, unusable).used
                owners += [user] * len(chosen)
                positions += [int(starts[place]) + position for position in chosen]
            if owners:
                taken = lists.values.take(pa.array(positions, pa.int64()))
                yield np.array(owners, np.int64), taken

    def _users_of(self, batch: UserBatch) -> Iterator[int | None]:
        """Yield the number of each user of a batch; None for users whose images are not wanted."""
        for user in range(batch.first, batch.first + len(batch)):
            yield user if user < len(self.used_U) and self.used_U[user] else None


class _Piece(UsesScratch):
    """A part of the temporary manifest; it is predicted when it is large enough.

    Args:
        manifest: The manifest of the users.
        options: How to predict.

    Attributes:
        bytes: The bytes of the images, or of their paths, in this piece.
    """

    def __init__(self, manifest: Manifest, options: PredictOptions) -> None:
        self._options = options
        self._embedded = manifest.carries_bytes
        self._schema = pa.schema(
            [("user_id", pa.int64()), ("images", _EMBEDDED if self._embedded else _PATHS)]
        )
        self._file: pq.ParquetWriter | None = None
        self._owners: list[NDArray[np.int64]] = []
        self._predicted = 0
        self.bytes = 0

    def add(self, owners_S: NDArray[np.int64], images: pa.StructArray) -> None:
        """Add images, each with the number of its user."""
        values = images if self._embedded else pc.struct_field(images, "path")
        lists = pa.LargeListArray.from_arrays(np.arange(len(values) + 1), values)
        numbers = pa.array(np.arange(len(values)) + sum(map(len, self._owners)))
        table = pa.Table.from_arrays([numbers, lists.cast(self._schema.field("images").type)],
                                     schema=self._schema)  # fmt: skip
        try:
            if self._file is None:
                self._file = pq.ParquetWriter(self._path("images"), self._schema)
            self._file.write_table(table)
        except (OSError, pa.ArrowException) as error:
            raise no_room(error) from error
        self._owners.append(owners_S)
        self.bytes += values.nbytes

    def predict(self, collected: "_Collected", on_images: Callable[[int], None]) -> None:
        """Predict the images of this piece, and begin another."""
        if self._file is None:
            return
        self._finish_file()
        source, out = self._path("images"), self._path("profiles")
        with suppress(TooManyFailuresError):  # the output is complete
            predict_manifest(
                source,
                out,
                self._options,
                lambda progress: on_images(self._predicted + progress.counts.users),
            )
        collected.add(out, np.concatenate(self._owners))
        self._predicted += sum(map(len, self._owners))
        source.unlink()
        self._owners, self.bytes = [], 0

    def close(self) -> None:
        """Remove the temporary files."""
        with suppress(OSError, pa.ArrowException):  # an error that is already being told
            self._finish_file()
        super().close()

    def _finish_file(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except (OSError, pa.ArrowException) as error:
            raise no_room(error) from error

    def _path(self, name: str) -> Path:
        return self.scratch / f"{name}.parquet"


class _Collected:
    """Sums the probabilities of single images by user.

    Args:
        users: The number of users in the manifest.
        traits: The traits.
    """

    def __init__(self, users: int, traits: Sequence[Trait]) -> None:
        self._traits = traits
        self._images_U = np.zeros(users, np.int64)
        self._first = {each.name: np.zeros((users, len(each.classes))) for each in traits}
        self._sum = {each.name: np.zeros((users, len(each.classes))) for each in traits}

    def add(self, profiles: Path, owners_S: NDArray[np.int64]) -> None:
        """Add the profiles of images, of which each belongs to the user of that number."""
        names = ["frames_used", *(probabilities_column(each.name) for each in self._traits)]
        begin = 0
        with pq.ParquetFile(profiles) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names):
                table = pa.Table.from_batches([batch])
                self._add(table, owners_S[begin : begin + len(table)])
                begin += len(table)

    def _add(self, table: pa.Table, owners_S: NDArray[np.int64]) -> None:
        usable = table["frames_used"].to_numpy() > 0
        owners = owners_S[usable]
        # Successive images belong to successive users, so the first of a new user is its first.
        new, places = np.unique(owners, return_index=True)
        is_new = self._images_U[new] == 0
        for trait in self._traits:
            probabilities = probabilities_of(table, trait)[usable]
            self._first[trait.name][new[is_new]] = probabilities[places[is_new]]
            np.add.at(self._sum[trait.name], owners, probabilities)
        np.add.at(self._images_U, owners, 1)

    def result(self) -> SingleImages:
        """Return the probabilities of all users."""
        divisor = np.maximum(1, self._images_U)[:, None]
        mean = {name: total / divisor for name, total in self._sum.items()}
        return SingleImages(images_U=self._images_U, first=self._first, mean=mean)
