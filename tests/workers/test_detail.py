"""Every worker decodes as much of an image as it is told to, or as its checkpoint says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.decoders import DecodeOptions, FrameDecoder, make_decoder
from tweetprofile.job import Detail, FrameSize, PredictorOptions
from tweetprofile.workers.examiner import Examiner
from tweetprofile.workers.extractor import FrameExtractor
from tweetprofile.workers.predictor import Predictor

OPTIONS = PredictorOptions(device="cpu", decoder="pillow", threads=1)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[Detail]:
    """The details that workers ask decoders for."""
    details: list[Detail] = []

    def make(name: str, options: DecodeOptions, *others: object) -> FrameDecoder:
        details.append(options.detail)
        return make_decoder(name, options, *others)  # type: ignore[arg-type]

    for worker in ("predictor", "extractor", "examiner"):
        monkeypatch.setattr(f"tweetprofile.workers.{worker}.make_decoder", make)
    return details


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
    model: Path, asked_for: list[Detail], trained: Detail, given: Detail | None, used: Detail
) -> None:
    checkpoint = of_detail(load_checkpoint(model), trained)
    predictor = Predictor(checkpoint, replace(OPTIONS, detail=given))
    assert asked_for == [used]
    assert predictor.facts.detail == predictor.facts.volume["detail"] == used


@pytest.mark.parametrize(
    "worker",
    [
        lambda options: FrameExtractor(FrameSize(2, 16, 16), options),
        lambda options: Examiner(11, True, options),
    ],
    ids=["extractor", "examiner"],
)
def test_a_worker_without_a_checkpoint_decodes_what_a_frame_can_show_unless_told_otherwise(
    asked_for: list[Detail], worker: Callable[[PredictorOptions], object]
) -> None:
    worker(OPTIONS)
    worker(replace(OPTIONS, detail="full"))
    assert asked_for == ["frame", "full"]
