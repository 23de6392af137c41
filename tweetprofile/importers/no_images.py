"""The message about a dump in which neither an image nor a text of a user was found."""

from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.twitter_api import NO_PHOTOS_HERE
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.untrusted.text import printable

_DESCRIPTIONS = {
    SkipReason.MALFORMED: "records that cannot be read",
    SkipReason.UNKNOWN_SHAPE: "records of an unknown shape",
    SkipReason.CUT: "files that are cut or damaged",
    SkipReason.MISSING_KEY: "records that lack something",
    SkipReason.UNKNOWN_MEDIA: "media that no record describes",
    SkipReason.MISSING_FILE: "images or archives that are missing",
    SkipReason.NOT_AN_IMAGE: "files that are not images of a user",
    SkipReason.OUTSIDE: "paths that lead out of the dump",
    SkipReason.BAD_NAME: "names that are not text",
    SkipReason.NO_SUCH_USER: "labels of users who are not in the dump",
    SkipReason.TOO_FEW_IMAGES: "users with fewer images than `min_images`",
    SkipReason.UNREADABLE: "files or folders that cannot be opened",
}


def nothing_found_error(
    layout: str, source: str | Path, skipped: Skipped, *, has_texts: bool
) -> OptionError:
    """Return the error that says what was seen in a dump from which nothing was taken.

    Args:
        layout: The layout that the dump was read as.
        source: The dump.
        skipped: What was skipped and left out.
        has_texts: Whether texts were searched for, too.
    """
    wanted = "an image or a text" if has_texts else "an image"
    reasons = [_describe(reason, skipped) for reason, _ in skipped.counts.most_common()]
    left_out = [f"{what}: {count:,}" for what, count in skipped.left_out.most_common()]
    seen = "; ".join([*reasons, *left_out]) or "it contains no record"
    return OptionError(
        f"no user with {wanted} was found in {source}: {seen}. {_advice(layout, skipped)}"
    )


def _describe(reason: SkipReason, skipped: Skipped) -> str:
    first = printable(skipped.first[reason])
    description = _DESCRIPTIONS.get(reason, reason.value)
    return f"{description}: {skipped.counts[reason]:,} (the first: {first})"


def _advice(layout: str, skipped: Skipped) -> str:
    if skipped.counts[SkipReason.TOO_FEW_IMAGES]:
        return "Lower `min_images`."
    has_photos = skipped.counts[SkipReason.MISSING_FILE] or skipped.left_out[NO_PHOTOS_HERE]
    if layout == "twitter-api" and has_photos:
        return "Pass the folder of the photos as `media_dir`."
    return f"'tweetprofile import {layout} --help' says what can be imported."
