"""The files that a command reads, so that no output replaces one of them."""

from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.sources import FOLDER_PATTERNS


def inputs_of(manifest: Manifest, image_root: AnyPath | None = None) -> Inputs:
    """What a run reads that looks at a manifest's users."""
    root = image_root or manifest.folder
    files = Inputs.of_tables("the manifest", manifest.source, manifest.files, FOLDER_PATTERNS)
    return files + Inputs.of(image_root=root)
