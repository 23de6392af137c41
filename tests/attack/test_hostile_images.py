"""No image can stall or crash a run: it costs itself and a few seconds at most."""

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch

from tests.attack.hostile_images import KINDS, USED, Maker
from tests.predicting.test_dirty_dump import predict
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.job import FrameSize, PredictorOptions
from tweetprofile.workers.examiner import Examiner

OPTIONS = DecodeOptions(height=32, width=32, threads=1)

FULL_SECONDS = 10.0
"""The most processor time for the full version of a kind: the default of `max_image_seconds`."""

GIGABYTES = 3

PEAK = """
import sys, time
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
decoder = PillowDecoder(DecodeOptions(112, 112, threads=1))
(failure,) = decoder.decode([sys.stdin.buffer.read()]).failures
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(failure and failure.value, time.process_time(), peak.split()[1])
"""

kinds = pytest.mark.parametrize(("make", "outcome", "share"), list(KINDS.values()), ids=list(KINDS))


@kinds
def test_a_hostile_image_costs_little_and_has_the_expected_outcome(
    make: Maker, outcome: str | None, share: float
) -> None:
    image = make(share)
    decoder = PillowDecoder(OPTIONS)
    began = time.process_time()
    (failure,) = decoder.decode([image]).failures
    assert failure == outcome
    assert time.process_time() - began < 3


@kinds
def test_dali_does_not_receive_images_that_pillow_refuses(
    make: Maker, outcome: str | None, share: float
) -> None:
    guarded = pytest.importorskip("tweetprofile.decoders.guarded", reason="DALI is for Linux")
    decoder = guarded.GuardedDaliDecoder(OPTIONS, torch.device("cpu"))
    assert decoder.decode([make(share)]).failures == (outcome,)


@kinds
def test_inspecting_reports_the_same_outcome_as_predicting(
    make: Maker, outcome: str | None, share: float
) -> None:
    options = PredictorOptions(device="cpu", decoder="pillow", threads=1)
    examiner = Examiner(FrameSize(11, 112, 112), False, options)
    user = UserImages("ada", (ImageRef(data=make(share)),))
    (row,) = examiner([user]).to_pylist()
    reasons = [failure["reason"] for failure in row["failures"]]
    assert reasons == ([] if outcome is USED else [outcome])


@pytest.mark.slow
@kinds
def test_the_full_attack_stays_within_seconds_and_memory(
    make: Maker, outcome: str | None, share: float
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK], input=make(1.0), capture_output=True, check=True
    )
    failure, seconds, kilobytes = done.stdout.decode().split()
    assert failure == str(outcome)
    assert float(seconds) < FULL_SECONDS
    assert int(kilobytes) < GIGABYTES / 2 * 1e6  # on two processors, two threads compute at a time


@pytest.fixture(scope="module")
def dump(good_images: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of nearly full versions of all kinds, and ten good images."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, (make, _, _) in KINDS.items():
        (folder / name).write_bytes(make(0.9))
    for image, data in enumerate((list(good_images.values()) * 2)[:10]):
        (folder / f"good {image}").write_bytes(data)
    return folder


def manifest_of(dump: Path, *, hostile: bool) -> Path:
    """Write one user per kind, with ten good images and the hostile one among them."""
    good = [f"good {image}" for image in range(10)]
    images = [[*good[:5], *[name] * hostile, *good[5:]] for name in KINDS]
    path = dump / f"{hostile}.parquet"
    pl.DataFrame({"user_id": list(KINDS), "images": images}).write_parquet(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["pillow", "dali"])
def test_ten_good_images_are_used_next_to_each_kind_and_memory_stays_small(
    dump: Path, model: Path, tmp_path: Path, decoder: str
) -> None:
    manifest = manifest_of(dump, hostile=True)
    peak, profiles = predict(manifest, tmp_path / "out", model, "--decoder", decoder)
    assert peak < GIGABYTES * 1024 * 1024
    for row in profiles.iter_rows(named=True):
        outcome = KINDS[row["user_id"]][1]
        assert row["frames_used"] == 10 + (outcome is USED), row["user_id"]
        assert [error["reason"] for error in row["image_errors"]] == [outcome][
            : outcome is not USED
        ]


@pytest.mark.slow
def test_refused_images_take_hardly_any_time_of_a_run(
    dump: Path, model: Path, tmp_path: Path
) -> None:
    seconds = []
    for hostile in (False, True):
        manifest = manifest_of(dump, hostile=hostile)
        refused = [name for name, (_, outcome, _) in KINDS.items() if outcome is not USED]
        users = pl.read_parquet(manifest).filter(pl.col("user_id").is_in(refused))
        users.write_parquet(manifest)
        began = time.monotonic()
        predict(manifest, tmp_path / str(hostile), model)
        seconds.append(time.monotonic() - began)
    assert seconds[1] < 2 * seconds[0] + 5
