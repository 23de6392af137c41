"""Every worker decodes as much of an image as it is told to, or as its checkpoint says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.attack.hostile_images import jpeg_of_late_scans
from tests.decoders.pictures import text
from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.job import Detail, FrameSize, PredictorOptions
from tweetprofile.workers.examiner import Examiner
from tweetprofile.workers.extractor import FrameExtractor
from tweetprofile.workers.predictor import Predictor

OPTIONS = PredictorOptions(device="cpu", decoder="pillow", threads=1)

Worker = Callable[[Sequence[UserImages]], pa.Table]


def detail_of(worker: Worker) -> Detail:
    """Return the detail with which a worker decodes, by an image that only `frame` can use.

    It has so many scans after those that a frame can show that decoding all of it takes too long.
    """
    (row,) = worker([UserImages("ada", (ImageRef(data=jpeg_of_late_scans(0.01)),))]).to_pylist()
    return "full" if row["images_failed"] else "frame"


def of_detail(checkpoint: Checkpoint, detail: Detail) -> Checkpoint:
    return replace(checkpoint, volume_spec=replace(checkpoint.volume_spec, detail=detail))


@pytest.mark.parametrize(
    ("trained", "given", "used"),
    [
        ("frame", None, "frame"),
        ("full", None, "full"),
        ("full", "frame", "frame"),
        ("frame", "full", "full"),
    ],
)
def test_a_predictor_decodes_as_its_checkpoint_says_unless_told_otherwise(
    model: Path, trained: Detail, given: Detail | None, used: Detail
) -> None:
    checkpoint = of_detail(load_checkpoint(model), trained)
    predictor = Predictor(checkpoint, replace(OPTIONS, detail=given))
    assert detail_of(predictor) == used
    assert predictor.facts.detail == predictor.facts.volume["detail"] == used


@pytest.mark.parametrize(
    "make_worker",
    [
        lambda options: FrameExtractor(FrameSize(2, 16, 16), options),
        lambda options: Examiner(FrameSize(11, 112, 112), True, options),
    ],
    ids=["extractor", "examiner"],
)
def test_a_worker_without_a_checkpoint_decodes_what_a_frame_can_show_unless_told_otherwise(
    make_worker: Callable[[PredictorOptions], Worker],
) -> None:
    assert detail_of(make_worker(OPTIONS)) == "frame"
    assert detail_of(make_worker(replace(OPTIONS, detail="full"))) == "full"


def test_the_examiner_decodes_for_frames_of_the_size_that_predict_needs(
    encode: Callable[..., bytes],
) -> None:
    jpeg = encode(text(1200, 900), "JPEG", progressive=True)
    endless = jpeg[:-2] + bytes.fromhex("ffda 0008 01 01 00 01 3f 00") * 1000 + jpeg[-2:]
    user = UserImages("ada", (ImageRef(data=endless),))
    failed = {}
    for side in (112, 1024):  # the larger frames show all scans
        (row,) = Examiner(FrameSize(1, side, side), True, OPTIONS)([user]).to_pylist()
        failed[side] = [failure["reason"] for failure in row["failures"]]
    assert failed == {112: [], 1024: ["too_slow"]}
