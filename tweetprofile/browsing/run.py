"""Make a page to browse: users with their images, what was predicted of them, and why."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tweetprofile.browsing.choosing import Choice, choose_users
from tweetprofile.browsing.joining import Joined, join, traits_with_labels
from tweetprofile.browsing.options import PROFILES_FIRST, BrowseOptions, BrowseSummary
from tweetprofile.browsing.output_folder import check_folder, new_folder
from tweetprofile.browsing.page import PAGE, PageFacts, page_files, sprite_name
from tweetprofile.browsing.page_data import PageUsers, require_small
from tweetprofile.browsing.pictures import OnSprite, OnUser, make_pictures
from tweetprofile.browsing.predicted import predicted_of
from tweetprofile.browsing.profile_rows import columns_of_csv, read_profile_rows
from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath, as_path
from tweetprofile.data.images.missing import explain_missing
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError
from tweetprofile.evaluation.opening import open_manifest
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.reading import read_every_trait
from tweetprofile.plurals import count_of, one_or_many


def browse_profiles(
    profiles: str | AnyPath,
    manifest: str | Path,
    folder: str | Path,
    options: BrowseOptions | None = None,
    *,
    on_user: OnUser = lambda done, total: None,
) -> BrowseSummary:
    """Make a page to browse, as a folder of files that a browser opens from the disk.

    Args:
        profiles: The file or folder of profiles that `predict` wrote.
        manifest: The manifest that was predicted: a Parquet file, a folder of such files or a glob.
        folder: The folder to write to; it is made if it does not exist.
        options: Which users to show, and how; see `BrowseOptions`.
        on_user: A function that is called with the number of users whose images have been read,
            and of all.

    Raises:
        InputError: An input, an option or the output is unusable.
        WriteError: The page could not be written.
        WorkerError: Workers die before they can begin.
    """
    options, folder = options or BrowseOptions(), Path(folder)
    opened = open_manifest(manifest, [profiles], PROFILES_FIRST)
    if options.texts and not opened.has_texts:
        raise OptionError(f"`texts` needs a manifest with texts, and {opened.source} has none.")
    labels = None if options.labels is None else Manifest.open(options.labels)
    inputs = _inputs(opened, labels, profiles, options)
    check_folder(folder, inputs, overwrite=options.overwrite)
    predictions = read_every_trait(labels or opened, profiles)
    joined = join(opened, predictions, _with_labels(opened, labels, predictions))
    choice = choose_users(joined, options)
    ids = joined.ids.gather(choice.rows).to_list()
    require_small(ids, predictions.schema, anonymous=options.anonymous)
    with new_folder(folder, overwrite=options.overwrite) as unfinished:
        sprites = partial(_write_sprite, unfinished)
        users = _read_users(opened, joined, choice, options, on_sprite=sprites, on_user=on_user)
        facts = PageFacts(
            title="profiles" if options.anonymous else predictions.name,
            rules=choice.rules,
            of=choice.of,
            is_sample=choice.is_sample,
            notes=_notes(joined, options),
        )
        for name, content in page_files(users, facts):
            (unfinished / name).write_bytes(content)
    root = options.image_root or opened.folder
    shown = any(users.images_of(user).indexes for user in range(len(users)))
    hints = () if shown else _missing(opened, root)
    return _summary(folder, users, choice, (*facts.notes, *hints))


def _with_labels(
    manifest: Manifest, labels: Manifest | None, predictions: Predictions
) -> Manifest | None:
    """Return the manifest that has the labels; None if nothing has any."""
    if labels is not None:
        return labels
    return manifest if traits_with_labels(manifest, predictions.schema.names) else None


def _read_users(
    manifest: Manifest,
    joined: Joined,
    choice: Choice,
    options: BrowseOptions,
    *,
    on_sprite: OnSprite,
    on_user: OnUser,
) -> PageUsers:
    """Read what the page shows of the chosen users."""
    predictions = joined.predictions
    profiles = read_profile_rows(predictions, choice.rows)
    positions: Sequence[int] = joined.positions_P[choice.rows].tolist()
    pictures = make_pictures(
        manifest, positions, profiles, options, on_sprite=on_sprite, on_user=on_user
    )
    return PageUsers(
        ids=None if options.anonymous else joined.ids.gather(choice.rows).to_list(),
        schema=predictions.schema,
        predicted=predicted_of(predictions, choice.rows),
        truth_RT=None if joined.truth_PT is None else joined.truth_PT[choice.rows],
        profiles=profiles.rows,
        pictures=pictures,
        way=profiles.way,
        side=options.thumbnail_side,
    )


def _write_sprite(folder: Path, number: int, content: bytes) -> None:
    (folder / sprite_name(number)).write_bytes(content)


def _inputs(
    manifest: Manifest, labels: Manifest | None, profiles: str | AnyPath, options: BrowseOptions
) -> Inputs:
    path = as_path(profiles)
    files = [path] if isinstance(path, Path) and path.is_file() else []
    inputs = inputs_of(manifest, options.image_root)
    inputs += Inputs.of_tables("the profiles", str(profiles), files, ("**",))
    if labels is not None:
        inputs += Inputs.of_tables("the labels", labels.source, labels.files)
    return inputs


def _notes(joined: Joined, options: BrowseOptions) -> tuple[str, ...]:
    notes = []
    if missing := joined.not_in_manifest:
        are = one_or_many(missing, "is of a user whom", "are of users whom")
        them = one_or_many(missing, "it", "them")
        profiles = count_of(missing, "profile")
        notes.append(f"{profiles} {are} the manifest lacks; the page leaves {them} out.")
    if missing := joined.without_profile:
        have = one_or_many(missing, "has", "have")
        users = f"{count_of(missing, 'user')} of the manifest"
        notes.append(f"{users} {have} no profile; the page leaves them out.")
    if unread := columns_of_csv(joined.predictions.path):
        are = one_or_many(len(unread), "column {} is", "columns {} are").format(", ".join(unread))
        notes.append(
            f"The profiles are CSV, so their {are} not used: status and evidence are read from "
            "Parquet only."
        )
    notes += [] if options.anonymous else joined.predictions.remarks
    # A sentence about labels quotes values, which the hidden users may have given themselves.
    return (*notes, *(() if options.anonymous else joined.label_notes))


def _missing(manifest: Manifest, root: AnyPath) -> Iterator[str]:
    """Yield sentences on why not one image of a manifest was usable."""
    if manifest.has_images:
        for hint in explain_missing(manifest, root):
            yield f"not one image is usable: {hint}"


def _summary(
    folder: Path, users: PageUsers, choice: Choice, notes: tuple[str, ...]
) -> BrowseSummary:
    shown = [users.images_of(user) for user in range(len(users))]
    return BrowseSummary(
        page=folder / PAGE,
        users=len(users),
        of=choice.of,
        images=sum(len(each.indexes) for each in shown),
        failed=sum(each.failed_count for each in shown),
        notes=notes,
    )
