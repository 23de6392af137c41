"""Extract the frames of single users in worker processes, to show them to people.

The code that predicts also chooses, decodes and resizes these frames, and an image that crashes a
decoder does not end the command.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import ExtractJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.job import FrameSize, PredictorOptions, WorkerFacts
from tweetprofile.workers.feature_rows import DIGESTS, FRAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedUser:
    """One user with the frames of the user's images.

    Attributes:
        batch: A batch of this user alone.
        frames_FHWC: The frames in the order of the user's images, (F, H, W, 3) uint8.
        digests_F: The digest of the image behind each frame, uint64.
        failed: The reason of each image that was tried and is unusable, by its position.
        status: How complete the images are; see `workers.profiles.Status`.
        images_given: The number of images that the manifest lists.
    """

    batch: UserBatch
    frames_FHWC: NDArray[np.uint8]
    digests_F: NDArray[np.uint64]
    failed: dict[int, str]
    status: str
    images_given: int


def extract_frames(
    users: Iterator[UserBatch],
    size: FrameSize,
    options: PredictorOptions,
    stall_seconds: float,
) -> Iterator[ExtractedUser]:
    """Yield users with their frames as soon as these are decoded, not always in the given order.

    Args:
        users: Batches of one user each.
        size: The largest number of frames per user, and their size.
        options: Where the images are, and the limits for reading and decoding them.
        stall_seconds: The time, in seconds, after which a worker that has not even finished one
            image is considered to hang.

    Raises:
        InputError: The image root is not a folder.
        WorkerError: Workers die before they can begin.
    """
    check_image_root(options.image_root)
    job = ExtractJob(size, options=options)
    engine: LocalEngine[WorkerFacts]
    with LocalEngine(job, EngineOptions("cpu", stall_seconds)) as engine:
        for batch, rows in engine.run(users):
            yield _extracted(batch, rows, size)


def _extracted(batch: UserBatch, rows: pa.Table, size: FrameSize) -> ExtractedUser:
    (row,) = rows.to_pylist()
    return ExtractedUser(
        batch=batch,
        frames_FHWC=np.frombuffer(row[FRAMES], np.uint8).reshape(-1, size.height, size.width, 3),
        digests_F=np.frombuffer(row[DIGESTS], np.uint64),
        failed={error["index"]: error["reason"] for error in row["image_errors"]},
        status=row["status"],
        images_given=row["images_given"],
    )


def image_files(batch: UserBatch, root: AnyPath) -> Inputs:
    """Return the image files of users, which no output may replace; none for those in a store."""
    if not isinstance(root, Path):
        return Inputs()
    paths = (image.path for user in batch.users for image in user.images if image.path is not None)
    return Inputs(tuple(("an image", root / path) for path in paths if "\0" not in path))
