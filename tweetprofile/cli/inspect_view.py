"""Shows the report of `inspect` on a manifest."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tweetprofile.cli import console
from tweetprofile.cli.console import CONSOLE, OUTPUT, images_beyond, make_bar
from tweetprofile.cli.flags import with_flags
from tweetprofile.inspection.report import FailedExample, Inspection, Range, TextTotals
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.untrusted.text import printable

if TYPE_CHECKING:
    from tweetprofile.inspection.contact_sheets import SheetModel  # which loads torch

_BAR = 24
"""Width of the longest bar in characters."""

_FORMATS_SHOWN = 8
_CLASSES_SHOWN = 12
_NAME_SHOWN = 28

_BEFORE_EXAMPLE = 46
"""Width of the columns before an example: the longest reason, millions of images, a share."""


def print_json(inspection: Inspection) -> None:
    """Print the whole report as one JSON object to stdout."""
    console.print_json(inspection.to_dict())


def show_inspection(inspection: Inspection, *, from_checkpoint: bool) -> None:
    """Print the report as a page to stdout.

    Args:
        inspection: The report.
        from_checkpoint: Whether a checkpoint says how many frames a volume has.
    """
    _show_heading(inspection)
    _show_users(inspection)
    if inspection.images.usable:
        _show_usable(inspection)
        _show_sharing(inspection)
    if inspection.reasons:
        _show_failed(inspection)
    for hint in inspection.hints:
        _say(with_flags(hint), "yellow")
    if inspection.texts is not None:
        _show_texts(inspection.texts, inspection.users)
    if inspection.profile_fields:
        _head("Users' own profiles", "which train --profile-fields reads")
        _show_bars(inspection.profile_fields, inspection.users_in_manifest)
    _show_labels(inspection)
    _show_outlook(inspection, from_checkpoint=from_checkpoint)
    _show_footnotes(inspection)


@contextmanager
def drawing_progress(sheets: int, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere or if quiet."""
    if quiet or not CONSOLE.is_animated:
        yield lambda drawn, total: None
        return
    with make_bar() as bar:
        task = bar.add_task("contact sheets", total=sheets)
        yield lambda drawn, total: bar.update(task, completed=drawn, total=total)


def show_sheet_model(model: "SheetModel") -> None:
    """Show which model's volumes will be drawn."""
    frames, height, width = model.volume.shape
    size = f"{count_of(frames, 'frame')} of {width} x {height} (detail {model.volume.detail})"
    if model.network is None:
        CONSOLE.print(f"drawing volumes of {size}, which belong to no model")
    else:
        CONSOLE.print(
            f"drawing volumes of {size}, as {model.network} from {model.checkpoint} sees them"
        )


def show_drawn(sheets: int, out: Path) -> None:
    """Show how many contact sheets were drawn, and where they are."""
    CONSOLE.print(f"{count_of(sheets, 'contact sheet')} -> {out}")


def _show_heading(found: Inspection) -> None:
    _say(found.manifest, "bold")
    of = f" of {found.users_in_manifest:,}" if found.is_sample else ""
    _say(f"{count_of(found.users, 'user')}{of}, {count_of(found.images.given, 'image')}")
    _say(f"form: {found.form}; images under {found.image_root}", "dim")
    if found.is_sample:
        _say("A sample: all figures below are for these users only.", "yellow")


def _show_users(found: Inspection) -> None:
    _head("Images per user", _words_of(found.images_per_user))
    _show_bars(found.histogram, found.users)


def _show_usable(found: Inspection) -> None:
    images = found.images
    _head("Usable images", f"{images.usable:,} of {images.given - images.left_out:,} examined")
    _show_bars(_most(found.formats, _FORMATS_SHOWN, "other formats"), images.usable)
    table = _table("", ">smallest", ">median", ">largest")
    for name, each, unit in (
        ("width", found.widths, _pixels),
        ("height", found.heights, _pixels),
        ("file", found.sizes, _bytes),
    ):
        if each is not None:
            table.add_row(name, unit(each.minimum), unit(each.median), unit(each.maximum))
    OUTPUT.print()
    OUTPUT.print(table)


def _show_sharing(found: Inspection) -> None:
    sharing = found.sharing
    _head("The same image more than once", count_of(sharing.distinct, "different image"))
    table = _table("", ">")
    table.add_row("different images that several users have", f"{sharing.at_several_users:,}")
    table.add_row("users who have one of them", f"{sharing.users:,} of {found.users:,}")
    table.add_row("users who have the most frequent one", f"{sharing.most_users:,}")
    table.add_row("repeated within a user's own list", f"{sharing.repeats:,}")
    OUTPUT.print(table)


def _show_failed(found: Inspection) -> None:
    examined = found.images.given - found.images.left_out
    _head("Unusable images", f"{found.images.failed:,} of {examined:,} examined")
    table = _table("reason", ">images", ">share", "for example")
    for reason, count in found.reasons.items():
        example = OUTPUT.cut(
            _words_of_example(found.examples[reason][0]), OUTPUT.width - _BEFORE_EXAMPLE
        )
        table.add_row(reason, f"{count:,}", _share(count, examined), OUTPUT.text(example, "dim"))
    OUTPUT.print(table)


def _show_texts(texts: TextTotals, users: int) -> None:
    _head("Texts per user", _words_of(texts.per_user))
    _show_bars(texts.users, users)
    read = texts.given - texts.left_out
    _head("Texts", f"{read:,} of {texts.given:,} examined; by the script of most letters")
    _show_bars(texts.scripts, read)
    _say(f"Characters per text, without URLs and mentions: {_words_of(texts.characters)}.")
    if texts.languages:
        _head("Language", "as the manifest says")
        _show_bars(_most(texts.languages, _CLASSES_SHOWN, "other languages"), users)
    for count, what in (
        (texts.left_out, "Older texts beyond the limit per user, not examined"),
        (texts.cut, "Texts longer than the limit, examined up to it"),
        (texts.null, "Null elements of lists, which count as no text"),
        (texts.undecodable, "Texts that are not UTF-8, with U+FFFD for what cannot be read"),
    ):
        if count:
            _say(f"{what}: {count:,}.", "dim")


def _show_labels(found: Inspection) -> None:
    for trait, labels in found.labels.items():
        unlabelled = (
            f"; {count_of(labels.unlabelled, 'user')} without a label" if labels.unlabelled else ""
        )
        _head(f"Label {trait}", f"{count_of(len(labels.classes), 'class', 'classes')}{unlabelled}")
        labelled = sum(labels.classes.values())
        _show_bars(_most(labels.classes, _CLASSES_SHOWN, "other classes"), labelled)


def _show_outlook(found: Inspection, *, from_checkpoint: bool) -> None:
    outlook = found.outlook
    _head(
        "What predict would make of it",
        f"it looks for {count_of(outlook.frames, 'usable image')} per user",
    )
    _show_bars(outlook.statuses, found.users)
    none = found.users - outlook.full - outlook.short
    _say(
        f"Volumes: {outlook.full:,} full, {outlook.short:,} with fewer than "
        f"{count_of(outlook.frames, 'frame')}, {count_of(none, 'user')} without any. "
        f"{count_of(outlook.tried_in_vain, 'image')} would be tried and found unusable.",
    )
    if not from_checkpoint:
        _say(
            f"This assumes {count_of(outlook.frames, 'frame')} per volume; pass --checkpoint to "
            "use the number of your model."
        )


def _show_footnotes(found: Inspection) -> None:
    images = found.images
    OUTPUT.print()
    not_decoded = images.usable + images.failed - images.decoded
    if found.full_decode:
        in_part = " Damage beyond what a frame can show is found by --detail full only."
        rest = "" if found.detail == "full" else in_part
        _say(f"Every image that could be read was decoded.{rest}", "dim")
    else:
        _say(
            f"{count_of(images.decoded, 'image')} "
            f"{one_or_many(images.decoded, 'was', 'were')} decoded; {not_decoded:,} "
            f"{one_or_many(not_decoded, 'was', 'were')} checked by header and end only, or could "
            "not be read. Damage inside the pixel data of such images is found "
            "by --full-decode only.",
            "dim",
        )
    if images.left_out:
        _say(f"{images_beyond(images.left_out)}.", "dim")
    for name, reason in found.no_traits.items():
        _say(f"Column {name} is not a label: it {with_flags(reason)}.", "dim")
    for note in found.label_notes:
        _say(f"Label {with_flags(note)}".rstrip(".") + ".", "yellow")
    for death in found.deaths:
        _say(f"A worker was replaced: {with_flags(death)}.", "yellow")
    rate = (images.usable + images.failed) / max(found.seconds, 1e-9)
    _say(f"{found.seconds:.1f} s, {rate:,.0f} images/s", "dim")


def _head(title: str, note: str) -> None:
    OUTPUT.print()
    OUTPUT.print(OUTPUT.text(title, "bold") + OUTPUT.text("  " + note, "dim"))


def _say(text: str, style: str = "") -> None:
    OUTPUT.print(OUTPUT.text(text, style))


def _table(*columns: str) -> Table:
    """Return a table without lines; columns whose name begins with `>` hold numbers."""
    heads = any(column.strip(">") for column in columns)
    table = Table(box=None, show_header=heads, header_style="dim", pad_edge=False, padding=(0, 2))
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
            no_wrap=column == "reason" or column.startswith(">"),
        )
    return table


def _show_bars(counts: Mapping[str, int], total: int) -> None:
    table = _table("", ">", ">", "")
    longest = max(counts.values(), default=0)
    for name, count in counts.items():
        bar = Text("\u2588" * round(_BAR * count / max(1, longest)), "cyan")
        if count and not bar:
            bar = Text("\u258f", "cyan")
        shown = OUTPUT.cut_name(name, _NAME_SHOWN)
        table.add_row(shown, f"{count:,}", _share(count, total), bar)
    OUTPUT.print(table)


def _most(counts: Mapping[str, int], shown: int, others: str) -> dict[str, int]:
    """Return the most frequent items, with all others added up as one."""
    if len(counts) <= shown:
        return dict(counts)
    items = list(counts.items())
    rest = items[shown - 1 :]
    return {**dict(items[: shown - 1]), f"{len(rest)} {others}": sum(count for _, count in rest)}


def _words_of(each: Range | None) -> str:
    if each is None:
        return "none"
    return f"from {each.minimum:,} to {each.maximum:,}, median {each.median:,}"


def _words_of_example(example: FailedExample) -> str:
    """Return the path of an image, or its user if it has none."""
    return printable(example.image or f"image {example.index} of {example.user_id}")


def _share(count: int, total: int) -> str:
    if not count or not total:
        return "-"
    share = count / total
    return "< 0.1%" if share < 0.001 else f"{share:.1%}"


def _pixels(number: int) -> str:
    return f"{number:,} px"


def _bytes(number: int) -> str:
    for unit, size in (("MB", 1_000_000), ("kB", 1_000)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number} B"
