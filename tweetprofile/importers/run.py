"""Import a dump: write its users, with labels and within limits, as a manifest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tweetprofile.data.files.protection import InputPattern, Inputs, check_file, real_path
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES, ImageReader
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.importers.labels import LabelTable
from tweetprofile.importers.layouts.table_columns import NAMES
from tweetprofile.importers.no_images import nothing_found_error
from tweetprofile.importers.opening import TEXTS_COLUMN, Choices, Dump, Layout, open_dump
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import REPEATED, DumpUser
from tweetprofile.importers.writing import ManifestWriter

OnProgress = Callable[[int, int], None]
"""Called with the number of users and of images written so far."""

_FILES_READ: Mapping[Layout, tuple[str, ...]] = {
    "folder": (*NAMES, *(f"*/{name}" for name in NAMES)),
    "twitter-api": ("**/*.json*", "**/*.ndjson*"),
}
"""Patterns of the files of a dump that an import reads, if a manifest could have such a name."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How `import_dump` works.

    The manifest gets the column `texts` if the layout brings texts and they are wanted.

    Attributes:
        media_dir: The folder of the photos (`twitter-api` only); None for that of the source.
        labels: A CSV or Parquet file with `user_id` and one column per trait; None for none.
        min_images: The fewest images per user; users with fewer are skipped.
        max_images: The most images per user; further ones are left out. None for all.
        embed: Whether to put the images themselves into the manifest.
        max_image_bytes: The largest file that is embedded, in bytes.
        overwrite: Whether to replace an existing manifest.
        texts: A table with `user_id` and `text`, or `texts` (`folder` only); None for none.
        no_texts: Whether to leave texts out (`pan18`, `twitter-api`, `twitter-archive`).
        retweets: Whether the texts of retweets count as those of the user who retweeted them
            (`twitter-api`, `twitter-archive`).
        profile_fields: Whether to take `name`, `screen_name` and `description` (`twitter-api`).

    Raises:
        OptionError: A value is out of range.
    """

    media_dir: Path | None = None
    labels: Path | None = None
    min_images: int = 0
    max_images: int | None = None
    embed: bool = False
    max_image_bytes: int = MAX_IMAGE_BYTES
    overwrite: bool = False
    texts: Path | None = None
    no_texts: bool = False
    retweets: bool = False
    profile_fields: bool = False

    def __post_init__(self) -> None:
        if self.max_images is not None and self.max_images < max(1, self.min_images):
            raise OptionError(
                f"`max_images` is {self.max_images}; it must be at least 1 and not below "
                "`min_images`."
            )

    @property
    def choices(self) -> Choices:
        """What to take from the dump, as its layout is asked."""
        return Choices(
            media_dir=self.media_dir,
            texts=self.texts,
            no_texts=self.no_texts,
            retweets=self.retweets,
            profile_fields=self.profile_fields,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """The result of an import.

    Attributes:
        out: The manifest.
        users: The number of users in the manifest.
        images: The number of images in the manifest.
        image_root: The `image_root` that `predict` needs; None if it needs none.
        skipped: The number of skipped things per reason.
        first_skipped: The first skipped thing per reason.
        left_out: The number of things left out on purpose, by their description.
        skipped_list: The file that lists what was skipped; None if nothing was.
        remarks: Sentences on how the dump was read, where it could have been read in another way.
        labelled: The number of users with a label, per column of the table of labels.
        label_notes: Sentences on how that table was read.
        texts: The number of texts in the manifest; None if it has no column of texts.
        users_with_texts_only: The number of users with texts and without images.
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
    texts: int | None = None
    users_with_texts_only: int = 0


def import_dump(
    layout: Layout,
    source: str | Path,
    out: str | Path,
    options: ImportOptions | None = None,
    on_progress: OnProgress = lambda users, images: None,
) -> ImportSummary:
    """Write a manifest of a dump in a known layout.

    Args:
        layout: `folder`, `pan17`, `pan18`, `twitter-api` or `twitter-archive`.
        source: The dump.
        out: The Parquet file to write; with `embed` a folder of them, with a `/` at its end.
        options: What to take, and how to write it; see `ImportOptions`.
        on_progress: Called with the number of users and of images written so far.

    Raises:
        InputError: Source, labels or output cannot be used, or neither an image nor a text was
            found.
        WriteError: The manifest or temporary files cannot be written.
    """
    options = options or ImportOptions()
    path = _check_out(str(out), options)
    dump = open_dump(layout, Path(source), options.choices)
    has_texts = TEXTS_COLUMN in dump.text_columns
    labels = LabelTable(options.labels) if options.labels is not None else None
    prefix, image_root = _image_prefix(dump.images, path if options.embed else path.parent)
    skipped_list = path.with_name(f"{path.name}.skipped.csv")
    inputs = _inputs(layout, Path(source), dump, options)
    with (
        Skipped(skipped_list) as skipped,
        ManifestWriter(
            path,
            columns=_columns(dump, labels),
            text_columns=dump.text_columns,
            prefix=prefix,
            reader=ImageReader(dump.images, options.max_image_bytes) if options.embed else None,
            skipped=skipped,
            overwrite=options.overwrite,
            inputs=inputs,
        ) as writer,
    ):
        # After the manifest, which the writer has checked: its name is the one that people gave.
        check_file(skipped_list, Kind.LOSSES, inputs, overwrite=options.overwrite)
        found = _within_limits(_labelled_users(dump, labels, skipped), options, skipped)
        counts = _write_users(found, writer, labels, on_progress)
        if not counts.images and not counts.texts:
            raise nothing_found_error(layout, source, skipped, has_texts=has_texts)
        if labels is not None:
            labels.require_common_users()
        writer.finish()
        skipped.finish(overwrite=options.overwrite)
    summary = _summarise(str(out), counts, skipped=skipped, labels=labels)
    needs_root = counts.images and not options.embed
    return replace(
        summary,
        image_root=image_root if needs_root else None,
        texts=counts.texts if has_texts else None,
    )


@dataclass(slots=True)
class _Counts:
    """What a manifest holds."""

    users: int = 0
    images: int = 0
    texts: int = 0
    users_with_texts_only: int = 0

    def add(self, user: DumpUser) -> None:
        self.users += 1
        self.images += len(user.images)
        self.texts += len(user.texts)
        self.users_with_texts_only += bool(user.texts and not user.images)


def _summarise(
    out: str, counts: _Counts, *, skipped: Skipped, labels: LabelTable | None
) -> ImportSummary:
    return ImportSummary(
        out=out,
        users=counts.users,
        images=counts.images,
        image_root=None,
        skipped=dict(skipped.counts),
        first_skipped=skipped.first,
        left_out=dict(skipped.left_out),
        skipped_list=skipped.path if skipped.counts else None,
        remarks=tuple(skipped.remarks),
        labelled=dict(labels.labelled) if labels else {},
        label_notes=(*labels.notes, *labels.warnings) if labels else (),
        users_with_texts_only=counts.users_with_texts_only,
    )


def _columns(dump: Dump, labels: LabelTable | None) -> tuple[str, ...]:
    """Return the names of the labels of a dump and of its table of labels, each once."""
    return tuple(dict.fromkeys([*dump.columns, *(labels.columns if labels is not None else ())]))


def _write_users(
    users: Iterator[DumpUser],
    writer: ManifestWriter,
    labels: LabelTable | None,
    on_progress: OnProgress,
) -> _Counts:
    """Write all users, and count what was written."""
    counts = _Counts()
    for user in users:
        writer.add(user)
        if labels is not None:
            labels.count(user)
        counts.add(user)
        on_progress(counts.users, counts.images)
    return counts


def _check_out(out: str, options: ImportOptions) -> Path:
    if "://" in out:
        raise OutputError(
            f"{out}: a manifest is written to a disk; give a path, and copy it afterwards."
        )
    if options.embed != out.endswith("/"):
        raise OutputError(
            f"{out}: with `embed` the manifest is a folder of files, named with a '/' at its end, "
            "and without it a file; change the name or the option."
        )
    return real_path(out)


def _inputs(layout: Layout, source: Path, dump: Dump, options: ImportOptions) -> Inputs:
    """Return what an import reads, which its outputs must never replace."""
    inputs = Inputs.of(
        dump=source,
        media_folder=dump.images,
        table_of_labels=options.labels,
        table_of_texts=options.texts,
    )
    patterns = _FILES_READ.get(layout, ())
    if layout == "folder" and options.embed:
        patterns = ("*",)  # any folder in the dump is that of a user
    return inputs + Inputs(
        patterns=tuple(InputPattern("the dump", source, each) for each in patterns)
    )


def _image_prefix(images: Path, folder: Path) -> tuple[str, Path | None]:
    """Return the prefix of image paths, and the image root that they need; None if they need none.

    Args:
        images: The folder of the images.
        folder: The folder of the manifest.
    """
    real = images.resolve()
    if real.is_relative_to(folder):
        below = real.relative_to(folder).as_posix()
        return ("" if below == "." else f"{below}/"), None
    return "", images


def _labelled_users(dump: Dump, labels: LabelTable | None, skipped: Skipped) -> Iterator[DumpUser]:
    if labels is None:
        yield from dump.users(skipped)
        return
    yield from labels.attach(dump.users(skipped))
    labels.skip_unknown_users(skipped)


def _within_limits(
    users: Iterator[DumpUser], options: ImportOptions, skipped: Skipped
) -> Iterator[DumpUser]:
    """Yield the users with enough images, without repeated images and those over the limit."""
    for user in users:
        images = list(dict.fromkeys(user.images))
        skipped.leave_out(REPEATED, len(user.images) - len(images))
        if len(images) < options.min_images:
            skipped.add(SkipReason.TOO_FEW_IMAGES, user.user_id, None, f"too few: {len(images)}")
            continue
        if options.max_images is not None:
            over_limit = len(images[options.max_images :])
            skipped.leave_out(
                f"images beyond the first {options.max_images:,} per user", over_limit
            )
        yield replace(user, images=images[: options.max_images])
