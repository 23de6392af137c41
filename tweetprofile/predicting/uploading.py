"""A complete output that is to be in an object store: uploaded, and then removed here."""

import errno

from tweetprofile.data.files.provenance import read_description, sidecar_of
from tweetprofile.data.files.storage import RemotePath, delete_files, upload
from tweetprofile.predicting.destination import Destination, check_stored


def publish(destination: Destination, run: str, *, overwrite: bool) -> None:
    """Upload a complete output that is to be in a store, and remove it here.

    Args:
        destination: of the output.
        run: that has made it, and may have uploaded a part of it before it was killed.
        overwrite: whether another run's output may be replaced.

    Raises:
        FileExistsError: another run's output is there, and may not be replaced.
        OSError: the store cannot be reached.
    """
    if destination.remote is None:
        return
    stored = check_stored(destination.remote, as_folder=destination.as_folder)
    others = (path for path in stored if read_description(path).get("run") != run)
    if not overwrite and (other := next(others, None)) is not None:
        raise FileExistsError(errno.EEXIST, f"{other} is there by now", str(other))
    if destination.as_folder:
        parts = sorted(destination.path.glob("part-*.parquet"))
        delete_files(stored)
        for part in parts:
            upload(part, destination.remote / part.name)
        for part in parts:
            part.unlink()
        destination.path.rmdir()
    else:
        if destination.as_csv:
            beside = sidecar_of(destination.remote)
            assert isinstance(beside, RemotePath)
            upload(destination.sidecar, beside)
        upload(destination.path, destination.remote)
        destination.path.unlink()
        if destination.as_csv:
            destination.sidecar.unlink()
