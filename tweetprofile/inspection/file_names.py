"""Make safe file names for contact sheets: user ids are untrusted."""

import re

from tweetprofile.data.manifests.users import UserId

_MAX_ID = 80
"""Characters of a user id in a file name; file systems allow 255 bytes per name."""


def sheet_file_name(position: int, user_id: UserId, users: int) -> str:
    """Return the file name of a user's contact sheet.

    The name begins with the user's position, so that no two are equal, whatever remains of the ids.

    Args:
        position: The position of the user in the manifest, from 0.
        user_id: The id of the user.
        users: The number of users in the manifest.
    """
    digits = len(str(max(0, users - 1)))
    letters = re.sub(r"[^A-Za-z0-9_-]+", "_", str(user_id))[:_MAX_ID]
    return f"{position:0{digits}}-{letters}.png"
