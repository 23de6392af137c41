"""The files that a command reads, so that no output replaces one of them."""

from tweetprofile.files.protection import Reads
from tweetprofile.files.storage import AnyPath
from tweetprofile.manifests.manifest import Manifest
from tweetprofile.manifests.sources import FOLDER_PATTERNS


def reads_of(manifest: Manifest, image_root: AnyPath | None = None) -> Reads:
    """What a run reads that looks at a manifest's users."""
    root = image_root or manifest.folder
    files = Reads.of_tables("the manifest", manifest.source, manifest.files, FOLDER_PATTERNS)
    return files + Reads.of(image_root=root)
