"""Split a manifest: compare all images, assign users to parts, and write the parts.

Users who share images stay together. An image that is so common that it would tie nearly all users
together stays with the users of the part that is evaluated, and is removed from the lists of the
others. So a part is evaluated on users and images that were not learnt from.
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
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.errors import ManifestError, OptionError, OutputError
from tweetprofile.plurals import count_of
from tweetprofile.splitting.writing import PartWriter
from tweetprofile.traits import TraitSchema

_USERS_AT_ONCE = 256
_USERS_PER_SHARD = 1 << 16
_MOST_IMAGES = 1_000_000
_ALL_TEXTS = TextLimits(max_texts=1_000_000, max_text_bytes=1 << 30)
"""Limits that hold for memory alone: what a part keeps is limited by who reads it."""

OnProgress = Callable[[int, int], None]
"""Called with the number of users whose images have been compared, and with that of all users."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How to split a manifest.

    Attributes:
        validation: The share of users to validate on; 0 for no such part.
        test: The share of users to test on; 0 for no such part.
        folds: The number of folds, each of which is tested on once; None for a single split.
        seed: The seed by which users are assigned to parts at random.
        image_root: The folder that image paths are relative to; None for the manifest's own.
        overwrite: Whether to replace an earlier split.

    Raises:
        OptionError: A value is out of range.
    """

    validation: float = 0.1
    test: float = 0.2
    folds: int | None = None
    seed: int = 0
    image_root: AnyPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, share in (("validation", self.validation), ("test", self.test)):
            if not 0.0 <= share < 1.0:
                raise OptionError(f"`{name}` is {share:g}; it must be at least 0 and below 1.")
        if self.validation + self.test >= 1.0 or not self.validation + self.test:
            raise OptionError(
                f"`validation` {self.validation:g} and `test` {self.test:g} leave no users to "
                "train on, or set none aside; give shares that add up to more than 0 and less "
                "than 1."
            )
        if self.folds is not None and not 2 <= self.folds <= 100:
            raise OptionError(f"`folds` is {self.folds}; it must be from 2 to 100.")

    @property
    def shares(self) -> dict[str, float]:
        """The share of users in each group that a user is assigned to."""
        if self.folds is not None:
            return {f"fold-{number}": 1 / self.folds for number in range(1, self.folds + 1)}
        shares = {"validation": self.validation, "test": self.test}
        kept = {name: share for name, share in shares.items() if share}
        return {"train": 1 - sum(kept.values()), **kept}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A manifest that a split has written.

    Attributes:
        path: The file of the part.
        users: The number of its users.
        classes: The number of users per class, by trait.
        images_removed: The number of images removed from its users' lists because users of a part
            that is evaluated have them too.
        emptied: The number of users who have no image left for that reason.
    """

    path: Path
    users: int
    classes: Mapping[str, Mapping[str, int]]
    images_removed: int
    emptied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSummary:
    """The result of a split.

    Attributes:
        parts: The manifests written, in order.
        users: The number of users of the manifest.
        groups: The number of groups of users who share images.
        shared: The number of images that several users have.
        unreadable: The number of images that could not be read, and were compared by their paths.
        folder: The folder that relative image paths are relative to.
    """

    parts: tuple[Part, ...]
    users: int
    groups: int
    shared: int
    unreadable: int
    folder: AnyPath


@dataclass(frozen=True, slots=True)
class _Images:
    """The digests of all images, user by user.

    Attributes:
        digests: (images,) The digests.
        starts: (users + 1,) Where the digests of each user start.
        unreadable: The number of images that could not be read.
    """

    digests: Digests
    starts: NDArray[np.int64]
    unreadable: int

    @property
    def owners(self) -> NDArray[np.int64]:
        """(images,) The number of each image's user."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@dataclass(frozen=True, slots=True)
class _Selection:
    """What a part has.

    Attributes:
        users: (users,) Whether each user is in the part.
        images: (images,) Whether each image may be in the lists of the part.
    """

    users: NDArray[np.bool_]
    images: NDArray[np.bool_]


def split_manifest(
    manifest: str | Path,
    folder: Path | None = None,
    options: SplitOptions | None = None,
    on_progress: OnProgress = lambda users, total: None,
) -> SplitSummary:
    """Split the users of a manifest into parts that share neither users nor images.

    Args:
        manifest: A Parquet file, a folder of them or a glob, with or without label columns.
        folder: The folder to write the parts to; None for the manifest's own, so that image paths
            remain valid.
        options: The shares of the parts, and how users are assigned; see `SplitOptions`.
        on_progress: Called with the number of users whose images have been compared, and with that
            of all users.

    Raises:
        InputError: The manifest, an option or the output cannot be used.
        WriteError: A part cannot be written.
    """
    options, opened = options or SplitOptions(), Manifest.open(manifest)
    users = opened.count_users()
    if users < len(options.shares) * 2:
        raise ManifestError(
            f"{opened.source} has {count_of(users, 'user')}, too few for {len(options.shares)} "
            "parts; each part needs at least two users, and about a hundred to measure anything."
        )
    paths = _part_paths(opened, folder, options)
    schema, labels = _labels(opened, users)
    images = _compare(opened, options, users, on_progress)
    shares = list(options.shares.values())
    links = link_users(images.owners, images.digests, users, int(max(shares) * users))
    assigned = share_out(labels, links.groups, shares, options.seed)
    selections = _selections(options, assigned, images)
    _write_parts(opened, paths, selections, images, overwrite=options.overwrite)
    return SplitSummary(
        parts=tuple(
            _describe(
                path,
                selections[name],
                images,
                classes=_count_classes(selections[name], schema, labels),
            )
            for name, path in paths.items()
        ),
        users=users,
        groups=len(np.unique(links.groups)),
        shared=links.shared,
        unreadable=images.unreadable,
        folder=opened.folder,
    )


def _part_paths(manifest: Manifest, folder: Path | None, options: SplitOptions) -> dict[str, Path]:
    """Return the path of each part, having checked that it may be written."""
    if folder is None:
        if len(manifest.files) > 1 or not isinstance(manifest.files[0], Path):
            raise OutputError(
                f"{manifest.source} is not a single file on this disk, so its parts need a folder "
                "of their own; pass one as `folder`."
            )
        folder = manifest.files[0].parent
    check_parent(folder, folder)
    if not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; make it, or pass another as `folder`.")
    inputs = inputs_of(manifest, options.image_root)
    stem = Path(manifest.source.rstrip("/*")).stem or "manifest"
    paths = {name: folder / f"{stem}.{name}.parquet" for name in _part_names(options)}
    for path in paths.values():
        check_file(path, Kind.MANIFEST, inputs, overwrite=options.overwrite)
    return paths


def _part_names(options: SplitOptions) -> list[str]:
    if options.folds is None:
        return list(options.shares)
    return [f"{fold}.{part}" for fold in options.shares for part in ("train", "test")]


def _labels(manifest: Manifest, users: int) -> tuple[TraitSchema | None, NDArray[np.int64]]:
    """Return the traits and the class numbers of the users; no column if there are no labels."""
    try:
        schema = find_schema(manifest, "labels").schema
    except ManifestError:
        return None, np.zeros((users, 0), np.int64)
    return schema, read_labels(manifest, schema)


def _compare(
    manifest: Manifest, options: SplitOptions, users: int, on_progress: OnProgress
) -> _Images:
    """Read every image; one that cannot be read is identified by its path."""
    reader = ImageReader(options.image_root or manifest.folder)
    digests: list[int] = []
    starts = np.zeros(users + 1, np.int64)
    unreadable = 0
    for batch in manifest.batches(_USERS_PER_SHARD, _USERS_AT_ONCE, (), _MOST_IMAGES):
        refs = [image for user in batch.users for image in user.images]
        for ref, data in zip(refs, reader.read_all(refs), strict=True):
            unreadable += not isinstance(data, bytes)
            identity = data if isinstance(data, bytes) else f"path {ref.label}".encode()
            digests.append(image_digest(identity))
        for position, user in enumerate(batch.users, batch.first):
            starts[position + 1] = starts[position] + len(user.images)
        on_progress(batch.first + len(batch), users)
    return _Images(np.array(digests, np.uint64), starts, unreadable)


def _selections(
    options: SplitOptions, assigned: NDArray[np.int64], images: _Images
) -> dict[str, _Selection]:
    """Return the users and images of each part, from the group that each user is assigned to."""
    owners = images.owners
    selections: dict[str, _Selection] = {}
    if options.folds is not None:
        for number, fold in enumerate(options.shares):
            tested = assigned == number
            held_out = np.isin(images.digests, images.digests[tested[owners]])
            selections[f"{fold}.train"] = _Selection(~tested, ~held_out)
            selections[f"{fold}.test"] = _Selection(tested, np.ones(len(owners), np.bool_))
        return selections
    taken = np.zeros(len(owners), np.bool_)
    # From the last to the first: test users keep their images before validation users do.
    for number, name in reversed(list(enumerate(options.shares))):
        users = assigned == number
        selections[name] = _Selection(users, ~taken)
        taken = taken | np.isin(images.digests, images.digests[users[owners] & ~taken])
    return selections


def _write_parts(
    manifest: Manifest,
    paths: Mapping[str, Path],
    selections: Mapping[str, _Selection],
    images: _Images,
    *,
    overwrite: bool,
) -> None:
    content = ("user_id", *manifest.content_columns(texts=True))
    others = [name for name in manifest.schema.names if name not in (*content, "images", "texts")]
    with PartWriter(manifest, list(paths.values()), overwrite=overwrite) as writer:
        for batch in manifest.batches(
            _USERS_PER_SHARD, _USERS_AT_ONCE, others, _MOST_IMAGES, texts=_ALL_TEXTS
        ):
            users = slice(batch.first, batch.first + len(batch))
            own_images = slice(images.starts[users.start], images.starts[users.stop])
            for number, name in enumerate(paths):
                selection = selections[name]
                writer.add(
                    number, batch.table, selection.users[users], selection.images[own_images]
                )
        writer.finish()


def _describe(
    path: Path,
    selection: _Selection,
    images: _Images,
    classes: Mapping[str, Mapping[str, int]],
) -> Part:
    own = selection.users[images.owners]
    before = np.bincount(images.owners[own], minlength=len(selection.users))
    after = np.bincount(images.owners[own & selection.images], minlength=len(selection.users))
    return Part(
        path=path,
        users=int(selection.users.sum()),
        classes=classes,
        images_removed=int((own & ~selection.images).sum()),
        emptied=int(((before > 0) & (after == 0)).sum()),
    )


def _count_classes(
    selection: _Selection, schema: TraitSchema | None, labels: NDArray[np.int64]
) -> dict[str, dict[str, int]]:
    """Return the number of a part's users per class, by trait."""
    classes = {}
    for column, trait in enumerate(schema or ()):
        counts = Counter(labels[selection.users, column].tolist())
        classes[trait.name] = {name: counts[number] for number, name in enumerate(trait.classes)}
    return classes
