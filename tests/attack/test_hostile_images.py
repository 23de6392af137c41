"""One image takes no run hostage: it costs itself, and some seconds at most."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch

from tests.attack.hostile_images import KINDS, TOO_LARGE, TOO_SLOW, USED, Maker
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.examination import Examiner
from tweetprofile.job import PredictorOptions
from tweetprofile.manifest import ImageRef, UserImages
from tweetprofile.plan import PredictOptions
from tweetprofile.predict import predict_manifest

# The decoder silences Pillow, but whoever runs tests sets the filters of warnings anew.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

OPTIONS = DecodeOptions(height=32, width=32, threads=1)

FULL_SECONDS = 10.0
"""Of processor time, for the full version of a kind: the default of --max-image-seconds."""

GIGABYTES = 3

PEAK = """
import resource, sys
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
decoder = PillowDecoder(DecodeOptions(112, 112, threads=1))
(failure,) = decoder.decode([sys.stdin.buffer.read()]).failures
used = resource.getrusage(resource.RUSAGE_SELF)
print(failure and failure.value, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

kinds = pytest.mark.parametrize(("make", "outcome", "share"), list(KINDS.values()), ids=list(KINDS))


@kinds
def test_a_hostile_image_costs_little_and_ends_as_it_should(
    make: Maker, outcome: str | None, share: float
) -> None:
    image = make(share)
    decoder = PillowDecoder(OPTIONS)
    began = time.process_time()
    (failure,) = decoder.decode([image]).failures
    assert failure == outcome
    assert time.process_time() - began < 3


@kinds
def test_dali_is_not_given_what_pillow_refuses(
    make: Maker, outcome: str | None, share: float
) -> None:
    guarded = pytest.importorskip("tweetprofile.decoders.guarded", reason="DALI is for Linux")
    decoder = guarded.GuardedDaliDecoder(OPTIONS, torch.device("cpu"))
    assert decoder.decode([make(share)]).failures == (outcome,)


@kinds
def test_inspecting_says_what_predicting_would(
    make: Maker, outcome: str | None, share: float
) -> None:
    examiner = Examiner(11, False, PredictorOptions(device="cpu", decoder="pillow", threads=1))
    user = UserImages("ada", (ImageRef(data=make(share)),))
    (row,) = examiner([user]).to_pylist()
    assert [failure["reason"] for failure in row["failures"]] == [outcome][: outcome is not USED]


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
    assert int(kilobytes) < GIGABYTES / 2 * 1e6  # two compute at a time on two processors


def _users(share_of_all: float | None, good: list[bytes]) -> dict[str, list[bytes]]:
    """A user for each kind, with ten good images before the hostile one."""
    return {
        name: [*good, make(share if share_of_all is None else share_of_all)]
        for name, (make, _, share) in KINDS.items()
    }


def _write(users: dict[str, list[bytes]], path: Path) -> Path:
    lists = pl.Series(list(users.values()), dtype=pl.List(pl.Binary))
    frame = pl.DataFrame({"user_id": list(users), "images": lists})
    frame.write_parquet(path, row_group_size=4)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, 0.9], ids=["small", "nearly full"])
def test_ten_good_images_are_used_beside_each_kind_and_the_run_stays_small(
    good_images: dict[str, bytes], model: Path, tmp_path: Path, share: float | None
) -> None:
    good = (list(good_images.values()) * 2)[:10]
    users = _users(share, good)
    options = PredictOptions(checkpoint=model, devices="cpu", decoder="pillow")
    summary = predict_manifest(_write(users, tmp_path / "m.parquet"), tmp_path / "out", options)
    profiles = pl.read_parquet(tmp_path / "out")
    assert summary.deaths == ()
    for row in profiles.iter_rows(named=True):
        outcome = KINDS[row["user_id"]][1]
        if share is not None and outcome in (TOO_SLOW, TOO_LARGE, USED):
            assert row["frames_used"] >= 10, row["user_id"]
        else:
            assert row["frames_used"] == 10 + (outcome is USED), row["user_id"]
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert workers < GIGABYTES * 1e6
