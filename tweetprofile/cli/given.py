"""Refuses inputs that are missing before the libraries that read them are loaded.

Loading these takes seconds, and a mistyped name is a common mistake. A command therefore imports
what does its work after it has checked what it was given.
"""

from pathlib import Path


def require_manifests(*sources: str | None) -> None:
    """Raise ManifestError unless each manifest that is given can be opened."""
    from tweetprofile.data.manifests.manifest import Manifest

    for source in sources:
        if source is not None:
            Manifest.open(source)


def require_paths(*paths: Path | None) -> None:
    """Raise OptionError unless each path that is given exists."""
    from tweetprofile.errors import OptionError

    for path in paths:
        if path is not None and not path.exists():
            raise OptionError(f"{path} does not exist; name an existing file or folder.")
