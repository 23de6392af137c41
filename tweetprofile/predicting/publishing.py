"""A complete output that is to be in an object store: uploaded, and then removed here."""

import errno
from collections.abc import Sequence

from tweetprofile.files.provenance import read_description, sidecar_of
from tweetprofile.files.storage import RemotePath, delete_files, upload
from tweetprofile.predicting.place import Place, check_stored


def publish(place: Place, run: str, *, overwrite: bool) -> None:
    """Upload a complete output that is to be in a store, and remove it here.

    Args:
        place: of the output.
        run: that has made it, and may have uploaded a part of it before it was killed.
        overwrite: whether another run's output may be replaced.

    Raises:
        FileExistsError: another run's output is there, and may not be replaced.
        OSError: the store cannot be reached.
    """
    if place.remote is None:
        return
    stored = check_stored(place.remote, as_folder=place.as_folder)
    if not overwrite and (other := _of_another_run(stored, run)) is not None:
        raise FileExistsError(errno.EEXIST, f"{other} is there by now", str(other))
    if place.as_folder:
        parts = sorted(place.path.glob("part-*.parquet"))
        delete_files(stored)
        for part in parts:
            upload(part, place.remote / part.name)
        for part in parts:
            part.unlink()
        place.path.rmdir()
    else:
        if place.as_csv:
            beside = sidecar_of(place.remote)
            assert isinstance(beside, RemotePath)
            upload(place.sidecar, beside)
        upload(place.path, place.remote)
        place.path.unlink()
        if place.as_csv:
            place.sidecar.unlink()


def _of_another_run(stored: Sequence[RemotePath], run: str) -> RemotePath | None:
    return next((path for path in stored if read_description(path).get("run") != run), None)
