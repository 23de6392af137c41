"""What is said of a dump out of which nothing could be taken."""

from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.skipped import Loss, Losses
from tweetprofile.untrusted.text import printable

_SAID = {
    Loss.MALFORMED: "records that cannot be read",
    Loss.UNKNOWN_SHAPE: "records of no shape that is known",
    Loss.CUT: "files that are cut or damaged",
    Loss.MISSING_KEY: "records that lack something",
    Loss.UNKNOWN_MEDIA: "media that no record describes",
    Loss.MISSING_FILE: "images or archives that are not there",
    Loss.NOT_AN_IMAGE: "files that are no images of a user",
    Loss.OUTSIDE: "paths that lead out of the dump",
    Loss.BAD_NAME: "names that are no text",
    Loss.NO_SUCH_USER: "labels of users of whom there is nothing",
    Loss.TOO_FEW_IMAGES: "users with fewer images than --min-images",
    Loss.UNREADABLE: "files or folders that cannot be opened",
}


def nothing_taken(layout: str, source: str | Path, losses: Losses) -> OptionError:
    """An error that says what was seen in a dump in which there was no user with an image.

    Args:
        layout: that the dump was read as.
        source: the dump.
        losses: all that could not be taken or was left out.
    """
    lost = [_counted(reason, losses) for reason, _ in losses.counts.most_common()]
    asides = [f"{what}: {count:,}" for what, count in losses.asides.most_common()]
    seen = "; ".join([*lost, *asides]) or "there is no record in it"
    return OptionError(
        f"no user with an image was found in {source}: {seen}. {_mend(layout, losses)}"
    )


def _counted(reason: Loss, losses: Losses) -> str:
    first = printable(losses.first[reason])
    return f"{_SAID.get(reason, reason.value)}: {losses.counts[reason]:,} (the first: {first})"


def _mend(layout: str, losses: Losses) -> str:
    if losses.counts[Loss.TOO_FEW_IMAGES]:
        return "Give a lower --min-images."
    if layout == "twitter-api" and losses.counts[Loss.MISSING_FILE]:
        return "Give the folder of the photos as --media-dir."
    return f"'tweetprofile import {layout} --help' says what is taken."
