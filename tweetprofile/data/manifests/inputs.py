"""The inputs of commands that read a manifest, which no output may replace."""

from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.sources import FOLDER_PATTERNS


def inputs_of(manifest: Manifest, image_root: AnyPath | None = None) -> Inputs:
    """Return the inputs of a run that reads a manifest and its images."""
    root = image_root or manifest.folder
    files = Inputs.of_tables("the manifest", manifest.source, manifest.files, FOLDER_PATTERNS)
    return files + Inputs.of(image_root=root)
