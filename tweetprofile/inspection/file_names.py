"""What users are called in a file system: their own names are untrusted."""

import re

from tweetprofile.data.manifests.manifest import UserId

_LONGEST_FILE_NAME = 80
"""Characters of an id in it; file systems take 255 bytes in all."""


def sheet_file_name(position: int, user_id: UserId, users: int) -> str:
    """The name of a user's contact sheet in a folder of them.

    It begins with their position in the manifest of so many users, so no two are alike, whatever is
    left of their ids.
    """
    digits = len(str(max(0, users - 1)))
    letters = re.sub(r"[^A-Za-z0-9_-]+", "_", str(user_id))[:_LONGEST_FILE_NAME]
    return f"{position:0{digits}}-{letters}.png"
