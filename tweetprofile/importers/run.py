"""The whole import: users of a dump, with labels and within bounds, into a manifest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tweetprofile.data.files.protection import InputPattern, Inputs, check_file, real_path
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES, ImageReader
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.importers.labels import LabelTable
from tweetprofile.importers.layouts.image_folder import ImageFolder
from tweetprofile.importers.layouts.pan18 import PAN18_COLUMNS, pan18_users
from tweetprofile.importers.layouts.table_columns import NAMES
from tweetprofile.importers.layouts.twitter_api import twitter_api_users
from tweetprofile.importers.layouts.twitter_archive import archive_users
from tweetprofile.importers.no_images import no_images_error
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import REPEATED, DumpUser
from tweetprofile.importers.writing import ManifestWriter

Layout = Literal["folder", "pan18", "twitter-api", "twitter-archive"]


_TAKEN: Mapping[Layout, tuple[str, ...]] = {
    "folder": (*NAMES, *(f"*/{name}" for name in NAMES)),
    "twitter-api": ("**/*.json*", "**/*.ndjson*"),
}
"""Patterns of files of a dump that an import reads, as far as a manifest could have such a name."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How `import_dump` works.

    Attributes:
        media_dir: folder of the photos (twitter-api); None for the source's own.
        labels: CSV or Parquet file with `user_id` and a column a trait; None for none.
        min_images: users with fewer are left out.
        max_images: images a user; later ones are left out. None for all.
        embed: whether the images themselves go into the manifest.
        max_image_bytes: larger ones are not embedded.
        overwrite: whether an existing manifest may be replaced.

    Raises:
        OptionError: a value out of range.
    """

    media_dir: Path | None = None
    labels: Path | None = None
    min_images: int = 0
    max_images: int | None = None
    embed: bool = False
    max_image_bytes: int = MAX_IMAGE_BYTES
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.max_images is not None and self.max_images < max(1, self.min_images):
            raise OptionError(
                f"--max-images {self.max_images} must be at least 1 and not below --min-images."
            )


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import came to.

    Attributes:
        out: the manifest.
        users: in it.
        images: in it.
        image_root: what `predict` must be given as --image-root; None where it needs nothing.
        skipped: what could not be taken, counted by reason.
        first_skipped: the first of each reason.
        left_out: what was left out on purpose, by what it is.
        skipped_list: file that lists all losses; None where there are none.
        remarks: how the dump was read, where that is not plain, in sentences.
        labelled: users with a label, by column of the table of labels.
        label_notes: how that table was read, in sentences.
    """

    out: str
    users: int
    images: int
    image_root: Path | None
    skipped: Mapping[SkipReason, int]
    first_skipped: Mapping[SkipReason, str]
    left_out: Mapping[str, int]
    skipped_list: Path | None
    remarks: tuple[str, ...] = ()
    labelled: Mapping[str, int] = field(default_factory=dict)
    label_notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Dump:
    """A dump, opened.

    Attributes:
        images: folder that its users' image paths are relative to.
        columns: of labels that it has itself.
        users: reads them.
    """

    images: Path
    columns: tuple[str, ...]
    users: Callable[[Skipped], Iterator[DumpUser]]


def import_dump(
    layout: Layout,
    source: str | Path,
    out: str | Path,
    options: ImportOptions | None = None,
    on_progress: Callable[[int, int], None] = lambda users, images: None,
) -> ImportSummary:
    """Write a manifest of a dump in a known layout.

    Args:
        layout: `folder`, `pan18`, `twitter-api` or `twitter-archive`.
        source: the dump.
        out: Parquet file to write; with `embed` a folder of them, named with a `/` at its end.
        options: how.
        on_progress: called with the users and images written so far.

    Raises:
        InputError: source, labels or output is unusable, or no image was found; says which.
        WriteError: the manifest or temporary files could not be written.
    """
    options = options or ImportOptions()
    path = _check_out(str(out), options)
    dump = _open(layout, Path(source), options)
    labels = LabelTable(options.labels) if options.labels is not None else None
    prefix, image_root = _where(dump.images, path if options.embed else path.parent)
    reader = ImageReader(dump.images, options.max_image_bytes) if options.embed else None
    columns = tuple(dict.fromkeys([*dump.columns, *(labels.columns if labels else ())]))
    skipped_list = path.with_name(f"{path.name}.skipped.csv")
    inputs = _inputs(layout, Path(source), dump, options)
    check_file(skipped_list, Kind.LOSSES, inputs, overwrite=options.overwrite)
    with (
        Skipped(skipped_list) as skipped,
        ManifestWriter(
            path, columns, prefix, reader, skipped, overwrite=options.overwrite, inputs=inputs
        ) as writer,
    ):
        taken = _bounded(_labelled(dump, labels, skipped), options, skipped)
        users, images = _write_users(taken, writer, labels, on_progress)
        if images == 0:
            raise no_images_error(layout, source, skipped)
        if labels is not None:
            labels.require_met()
        writer.finish()
        skipped.finish(overwrite=options.overwrite)
    return ImportSummary(
        str(out),
        users,
        images,
        None if options.embed else image_root,
        dict(skipped.counts),
        skipped.first,
        dict(skipped.left_out),
        skipped_list if skipped.counts else None,
        remarks=tuple(skipped.remarks),
        labelled=dict(labels.labelled) if labels else {},
        label_notes=(*labels.notes, *labels.warnings) if labels else (),
    )


def _write_users(
    taken: Iterator[DumpUser],
    writer: ManifestWriter,
    labels: LabelTable | None,
    on_progress: Callable[[int, int], None],
) -> tuple[int, int]:
    """Write all users; how many they were, and how many images they had."""
    users = images = 0
    for user in taken:
        writer.add(user)
        if labels is not None:
            labels.count(user)
        users, images = users + 1, images + len(user.images)
        on_progress(users, images)
    return users, images


def _check_out(out: str, options: ImportOptions) -> Path:
    if "://" in out:
        raise OutputError(f"{out}: a manifest is written to a disk; give a path, and copy it then.")
    if options.embed != out.endswith("/"):
        raise OutputError(
            f"{out}: with --embed the manifest is a folder of files, named with a '/' at its end, "
            "and without it a file; name it so."
        )
    return real_path(out)


def _inputs(layout: Layout, source: Path, dump: _Dump, options: ImportOptions) -> Inputs:
    """What an import reads, and its outputs never replace."""
    inputs = Inputs.of(dump=source, media_folder=dump.images, table_of_labels=options.labels)
    patterns = _TAKEN.get(layout, ())
    if layout == "folder" and options.embed:
        patterns = ("*",)  # a folder in the dump is a user's
    return inputs + Inputs(
        patterns=tuple(InputPattern("the dump", source, each) for each in patterns)
    )


def _open(layout: Layout, source: Path, options: ImportOptions) -> _Dump:
    """Check that the source is there, and what the layout takes.

    Raises:
        OptionError: it is not.
    """
    if layout != "twitter-api" and options.media_dir is not None:
        raise OptionError(f"--media-dir is for twitter-api; {layout} knows where images are.")
    if not (source.is_dir() or (layout == "twitter-api" and source.is_file())):
        raise OptionError(f"{source} is no folder; give the dump's.")
    match layout:
        case "folder":
            folder = ImageFolder.open(source)
            return _Dump(source, folder.columns, folder.users)
        case "pan18":
            return _Dump(source, PAN18_COLUMNS, lambda skipped: pan18_users(source, skipped))
        case "twitter-archive":
            return _Dump(source, (), lambda skipped: archive_users(source, skipped))
        case "twitter-api":
            media = options.media_dir or (source if source.is_dir() else source.parent)
            return _Dump(media, (), lambda skipped: twitter_api_users(source, media, skipped))


def _where(images: Path, folder: Path) -> tuple[str, Path | None]:
    """What to put before image paths, and the image root that is needed to find them then."""
    real = images.resolve()
    if real.is_relative_to(folder):
        below = real.relative_to(folder).as_posix()
        return ("" if below == "." else f"{below}/"), None
    return "", images


def _labelled(dump: _Dump, labels: LabelTable | None, skipped: Skipped) -> Iterator[DumpUser]:
    if labels is None:
        yield from dump.users(skipped)
        return
    yield from labels.attach(dump.users(skipped))
    labels.note_unmet(skipped)


def _bounded(
    users: Iterator[DumpUser], options: ImportOptions, skipped: Skipped
) -> Iterator[DumpUser]:
    """The users who have enough images, without repeated ones and those beyond the most."""
    for user in users:
        images = list(dict.fromkeys(user.images))
        if repeated := len(user.images) - len(images):
            skipped.leave_out(REPEATED, repeated)
        if len(images) < options.min_images:
            skipped.add(SkipReason.TOO_FEW_IMAGES, user.user_id, None, f"{len(images)} images")
            continue
        if beyond := len(images[options.max_images :]) if options.max_images else 0:
            skipped.leave_out("images beyond --max-images", beyond)
        yield replace(user, images=images[: options.max_images])
