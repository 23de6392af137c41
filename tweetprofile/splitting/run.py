"""The whole of splitting: read and compare all images, share users out, write the parts.

Users who share images stay together. Where an image is so common that it would tie nearly all users
together, it is left to the users of the part that is measured with, and taken out of the lists of
the others: whatever is measured then is measured on users and images that were not learnt from.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.files.protection import check_file, check_parent
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.digests import Digests, image_digest
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.labels.reading import find_schema, read_labels
from tweetprofile.data.labels.split import link_users, share_out
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, OptionError, OutputError
from tweetprofile.splitting.writing import PartWriter
from tweetprofile.traits import TraitSchema

_USERS_AT_ONCE = 256
_USERS_A_SHARD = 1 << 16
_MOST_IMAGES = 1_000_000

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How a manifest is split.

    Attributes:
        validation: share of the users to validate on; 0 for no such part.
        test: share of the users to test on.
        folds: parts of equal size, each of which is tested on once; None for one split.
        seed: of the draw.
        image_root: folder that image paths are relative to; None for the manifest's own.
        overwrite: whether an earlier split may be replaced.

    Raises:
        OptionError: a value out of range.
    """

    validation: float = 0.1
    test: float = 0.2
    folds: int | None = None
    seed: int = 0
    image_root: AnyPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, share in (("--validation", self.validation), ("--test", self.test)):
            if not 0.0 <= share < 1.0:
                raise OptionError(f"{name} {share:g} must be at least 0 and below 1.")
        if self.validation + self.test >= 1.0 or not self.validation + self.test:
            raise OptionError(
                f"--validation {self.validation:g} and --test {self.test:g} leave no users to "
                "train on, or set none aside; give shares that add up to less than 1."
            )
        if self.folds is not None and not 2 <= self.folds <= 100:
            raise OptionError(f"--folds {self.folds} must be from 2 to 100.")

    @property
    def sides(self) -> dict[str, float]:
        """The share of each side that users are given to."""
        if self.folds is not None:
            return {f"fold-{number}": 1 / self.folds for number in range(1, self.folds + 1)}
        shares = {"validation": self.validation, "test": self.test}
        kept = {name: share for name, share in shares.items() if share}
        return {"train": 1 - sum(kept.values()), **kept}


@dataclass(frozen=True, slots=True)
class Part:
    """A manifest that a split has written.

    Attributes:
        path: where it is.
        users: how many it has.
        classes: by trait, how many users each class has.
        images_removed: from users' lists, as users of a part that is measured with have them, too.
        emptied: users who have no image left for that reason.
    """

    path: Path
    users: int
    classes: Mapping[str, Mapping[str, int]]
    images_removed: int
    emptied: int


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What a split came to.

    Attributes:
        parts: the manifests written, in order.
        users: of the manifest.
        groups: of users who share images.
        shared: images that several users have.
        unreadable: images that could not be read, and were compared by their paths.
        folder: that relative image paths are relative to.
    """

    parts: tuple[Part, ...]
    users: int
    groups: int
    shared: int
    unreadable: int
    folder: AnyPath


@dataclass(frozen=True, slots=True)
class _Images:
    """Digests of all images, user by user: those of user n are from `starts[n]` on."""

    digests: Digests
    starts: NDArray[np.int64]
    unreadable: int

    @property
    def owners(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def split_manifest(
    manifest: str | Path,
    folder: Path | None = None,
    options: SplitOptions | None = None,
    on_progress: OnProgress = lambda users, total: None,
) -> SplitSummary:
    """Split the users of a manifest into parts that share neither users nor images.

    Args:
        manifest: a Parquet file, a folder of them or a glob, with or without label columns.
        folder: that the parts are written to; None for the manifest's own, so that image paths
            lead where they did.
        options: the shares of the parts, and what is drawn.
        on_progress: called with the number of users whose images were compared, and of all.

    Raises:
        InputError: manifest, option or output is unusable.
        WriteError: a disk is full.
    """
    options, opened = options or SplitOptions(), Manifest.open(manifest)
    users = opened.count_users()
    if users < len(options.sides) * 2:
        raise ManifestError(
            f"{opened.source} has {users} users, too few for {len(options.sides)} parts; it takes "
            "at least two per part, and some hundred to measure anything with."
        )
    paths = _paths(opened, folder, options)
    schema, labels = _labels(opened, users)
    images = _compare(opened, options, users, on_progress)
    shares = list(options.sides.values())
    links = link_users(images.owners, images.digests, users, int(max(shares) * users))
    sides = share_out(labels, links.groups, shares, options.seed)
    parts = _parts(options, sides, images)
    with PartWriter(opened, list(paths.values()), overwrite=options.overwrite) as writer:
        for batch in opened.batches(_USERS_A_SHARD, _USERS_AT_ONCE, _others(opened), _MOST_IMAGES):
            for number, (chosen, kept) in enumerate(parts.values()):
                some = slice(batch.first, batch.first + len(batch))
                flat = slice(images.starts[some.start], images.starts[some.stop])
                writer.add(number, batch.table, chosen[some], kept[flat])
        writer.finish()
    written = tuple(
        _describe(path, *parts[name], schema, labels, images) for name, path in paths.items()
    )
    return SplitSummary(
        written,
        users,
        len(np.unique(links.groups)),
        links.shared,
        images.unreadable,
        opened.folder,
    )


def _paths(manifest: Manifest, folder: Path | None, options: SplitOptions) -> dict[str, Path]:
    """Where each part goes, once it is known that it may be written."""
    if folder is None:
        if len(manifest.files) > 1 or not isinstance(manifest.files[0], Path):
            raise OutputError(
                f"{manifest.source} is more than one file here, so its parts need a folder of "
                "their own: give -o FOLDER."
            )
        folder = manifest.files[0].parent
    check_parent(folder, folder)
    if not folder.is_dir():
        raise OutputError(f"{folder} is no folder; make it, or give another with -o.")
    inputs = inputs_of(manifest, options.image_root)
    stem = Path(manifest.source.rstrip("/*")).stem or "manifest"
    paths = {name: folder / f"{stem}.{name}.parquet" for name in _names(options)}
    for path in paths.values():
        check_file(path, Kind.MANIFEST, inputs, overwrite=options.overwrite)
    return paths


def _names(options: SplitOptions) -> list[str]:
    if options.folds is None:
        return list(options.sides)
    return [f"{fold}.{part}" for fold in options.sides for part in ("train", "test")]


def _labels(manifest: Manifest, users: int) -> tuple[TraitSchema | None, NDArray[np.int64]]:
    """The traits and class numbers of the users; no column where there are no labels."""
    try:
        schema = find_schema(manifest, "labels").schema
    except ManifestError:
        return None, np.zeros((users, 0), np.int64)
    return schema, read_labels(manifest, schema)


def _compare(
    manifest: Manifest, options: SplitOptions, users: int, on_progress: OnProgress
) -> _Images:
    """Read every image; what cannot be read is known by its path."""
    reader = ImageReader(options.image_root or manifest.folder)
    digests: list[int] = []
    starts = np.zeros(users + 1, np.int64)
    unreadable = 0
    for batch in manifest.batches(_USERS_A_SHARD, _USERS_AT_ONCE, (), _MOST_IMAGES):
        refs = [image for user in batch.users for image in user.images]
        for ref, data in zip(refs, reader.read_all(refs), strict=True):
            unreadable += not isinstance(data, bytes)
            known_by = data if isinstance(data, bytes) else f"path {ref.label}".encode()
            digests.append(image_digest(known_by))
        for position, user in enumerate(batch.users, batch.first):
            starts[position + 1] = starts[position] + len(user.images)
        on_progress(batch.first + len(batch), users)
    return _Images(np.array(digests, np.uint64), starts, unreadable)


def _others(manifest: Manifest) -> list[str]:
    return [name for name in manifest.schema.names if name not in ("user_id", "images", "image")]


def _parts(
    options: SplitOptions, sides: NDArray[np.int64], images: _Images
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Which users each part has, and which of all images may stand in its lists."""
    owners = images.owners
    if options.folds is not None:
        parts = {}
        for number, fold in enumerate(options.sides):
            tested = sides == number
            held_out = np.isin(images.digests, images.digests[tested[owners]])
            parts[f"{fold}.train"] = (~tested, ~held_out)
            parts[f"{fold}.test"] = (tested, np.ones(len(owners), np.bool_))
        return parts
    parts, taken = {}, np.zeros(len(owners), np.bool_)
    for number, name in reversed(list(enumerate(options.sides))):  # what is tested with comes first
        chosen = sides == number
        parts[name] = (chosen, ~taken)
        taken = taken | np.isin(images.digests, images.digests[chosen[owners] & ~taken])
    return {name: parts[name] for name in options.sides}


def _describe(
    path: Path,
    chosen: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    schema: TraitSchema | None,
    labels: NDArray[np.int64],
    images: _Images,
) -> Part:
    own = chosen[images.owners]
    before = np.bincount(images.owners[own], minlength=len(chosen))
    after = np.bincount(images.owners[own & kept], minlength=len(chosen))
    classes = {}
    for column, trait in enumerate(schema or ()):
        counts = Counter(labels[chosen, column].tolist())
        classes[trait.name] = {name: counts[place] for place, name in enumerate(trait.classes)}
    removed = int((own & ~kept).sum())
    emptied = int(((before > 0) & (after == 0)).sum())
    return Part(path, int(chosen.sum()), classes, removed, emptied)
