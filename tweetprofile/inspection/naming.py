"""What users and images are called for eyes and file systems: their own names are untrusted."""

import re

from tweetprofile.manifest import UserId

_LONGEST_FILE_NAME = 80
"""Characters of an id in it; file systems take 255 bytes in all."""

_LONGEST_SHOWN = 400
"""Characters; nobody reads more, whatever a manifest holds."""


def printable(text: str) -> str:
    """A text with everything escaped that is not for eyes: control and terminal codes above all."""
    shown = shorten(text, _LONGEST_SHOWN)
    return "".join(char if char.isprintable() else escape(char) for char in shown)


def escape(char: str) -> str:
    """A character's number, as Python writes it."""
    return char.encode("unicode_escape").decode("ascii")


def shorten(text: str, longest: int) -> str:
    """A text with its middle left out where it is too long: ends tell most, of paths and ids."""
    if len(text) <= longest:
        return text
    kept = max(0, longest - 3)
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


def file_name(position: int, user_id: UserId, users: int) -> str:
    """The name of a user's contact sheet in a folder of them.

    It begins with their position in the manifest of so many users, so no two are alike, whatever is
    left of their ids.
    """
    digits = len(str(max(0, users - 1)))
    letters = re.sub(r"[^A-Za-z0-9_-]+", "_", str(user_id))[:_LONGEST_FILE_NAME]
    return f"{position:0{digits}}-{letters}.png"
