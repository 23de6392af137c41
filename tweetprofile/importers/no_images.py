"""What is said of a dump out of which nothing could be taken."""

from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.untrusted.text import printable

_SAID = {
    SkipReason.MALFORMED: "records that cannot be read",
    SkipReason.UNKNOWN_SHAPE: "records of no shape that is known",
    SkipReason.CUT: "files that are cut or damaged",
    SkipReason.MISSING_KEY: "records that lack something",
    SkipReason.UNKNOWN_MEDIA: "media that no record describes",
    SkipReason.MISSING_FILE: "images or archives that are not there",
    SkipReason.NOT_AN_IMAGE: "files that are no images of a user",
    SkipReason.OUTSIDE: "paths that lead out of the dump",
    SkipReason.BAD_NAME: "names that are no text",
    SkipReason.NO_SUCH_USER: "labels of users of whom there is nothing",
    SkipReason.TOO_FEW_IMAGES: "users with fewer images than --min-images",
    SkipReason.UNREADABLE: "files or folders that cannot be opened",
}


def no_images_error(layout: str, source: str | Path, skipped: Skipped) -> OptionError:
    """An error that says what was seen in a dump in which there was no user with an image.

    Args:
        layout: that the dump was read as.
        source: the dump.
        skipped: all that could not be taken or was left out.
    """
    lost = [_counted(reason, skipped) for reason, _ in skipped.counts.most_common()]
    left_out = [f"{what}: {count:,}" for what, count in skipped.left_out.most_common()]
    seen = "; ".join([*lost, *left_out]) or "there is no record in it"
    return OptionError(
        f"no user with an image was found in {source}: {seen}. {_mend(layout, skipped)}"
    )


def _counted(reason: SkipReason, skipped: Skipped) -> str:
    first = printable(skipped.first[reason])
    return f"{_SAID.get(reason, reason.value)}: {skipped.counts[reason]:,} (the first: {first})"


def _mend(layout: str, skipped: Skipped) -> str:
    if skipped.counts[SkipReason.TOO_FEW_IMAGES]:
        return "Give a lower --min-images."
    if layout == "twitter-api" and skipped.counts[SkipReason.MISSING_FILE]:
        return "Give the folder of the photos as --media-dir."
    return f"'tweetprofile import {layout} --help' says what is taken."
