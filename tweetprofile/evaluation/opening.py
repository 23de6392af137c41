"""Open the manifest that predictions are about, and see that these are there.

That is all that can be checked without the libraries that read predictions. The command line does
it before it loads them, which takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath, as_path, canonical
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, PredictionsError

MANIFEST_FIRST = "give the manifest first, then the predictions"
"""How `evaluate` takes the two."""


def open_manifest(
    source: str | Path, predictions: Sequence[str | AnyPath], order: str = MANIFEST_FIRST
) -> Manifest:
    """Open a manifest; refuse predictions that are missing, swapped with it, or the manifest.

    Args:
        source: The manifest: a path, a glob or a URI.
        predictions: The predictions of its users; there may be none.
        order: How to give the two, as advice in messages.

    Raises:
        ManifestError: The manifest cannot be opened.
        PredictionsError: The predictions are missing, or are the manifest itself.
    """
    try:
        manifest = Manifest.open(source)
    except ManifestError:
        swapped = next((each for each in predictions if _is_manifest(each)), None)
        if swapped is None or not Path(source).exists():
            raise
        raise ManifestError(
            f"{source} is not a manifest, but {swapped} is one: the two are swapped; {order}."
        ) from None
    for each in map(as_path, predictions):
        if isinstance(each, Path) and not each.exists():
            raise PredictionsError(
                f"{each} does not exist; pass the file or folder that 'tweetprofile predict' wrote."
            )
        if canonical(each) in map(canonical, manifest.files):
            raise PredictionsError(
                f"{each} is the manifest itself, whose labels are no predictions; {order}."
            )
    return manifest


def _is_manifest(path: str | AnyPath) -> bool:
    try:
        Manifest.open(str(path))
    except ManifestError:
        return False
    return True
