"""Uploads a complete output to an object store, and then removes it from this machine."""

import errno

from tweetprofile.data.files.provenance import read_description, sidecar_of
from tweetprofile.data.files.storage import RemotePath, delete_files, upload
from tweetprofile.predicting.destination import SHARD_FILES, Destination
from tweetprofile.predicting.output_checks import check_stored


def publish(destination: Destination, run: str, *, overwrite: bool) -> None:
    """Upload a complete output if it belongs in an object store, and remove it here.

    Args:
        destination: The destination of the output.
        run: The run that made the output. It may have uploaded a part of it before it was killed.
        overwrite: Whether the output of another run may be replaced.

    Raises:
        FileExistsError: The output of another run is there and must not be replaced.
        OSError: The store cannot be reached.
    """
    if (remote := destination.remote) is None:
        return
    stored = check_stored(destination, remote)
    others = (path for path in stored if read_description(path).get("run") != run)
    if not overwrite and (other := next(others, None)) is not None:
        raise FileExistsError(errno.EEXIST, f"{other} has appeared in the meantime", str(other))
    if destination.as_folder:
        parts = sorted(destination.path.glob(SHARD_FILES))
        delete_files(stored)
        for part in parts:
            upload(part, remote / part.name)
        for part in parts:
            part.unlink()
        destination.path.rmdir()
    else:
        if destination.as_csv:
            sidecar = sidecar_of(remote)
            assert isinstance(sidecar, RemotePath)
            upload(destination.sidecar, sidecar)
        upload(destination.path, remote)
        destination.path.unlink()
        if destination.as_csv:
            destination.sidecar.unlink()
