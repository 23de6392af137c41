"""Frames are decoded once, reused, bounded on the disk, and never used incomplete."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, OutputError, WriteError
from tweetprofile.job import Detail
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.training.cache_building import CacheOptions, CacheSource, open_cache
from tweetprofile.volumes.spec import VolumeSpec

SPEC = VolumeSpec(height=16, width=16)


def source(manifest: Path, spec: VolumeSpec = SPEC) -> CacheSource:
    opened = Manifest.open(manifest)
    return CacheSource.of(opened, opened.folder, spec, "pillow", "cpu")


@pytest.fixture
def users(tmp_path: Path, draw: Callable[..., Image.Image]) -> Path:
    """Four users: two images, no image, a damaged and a good image, 50 images."""
    folder = tmp_path / "users"
    folder.mkdir()
    for number in range(50):
        draw(40, 30, number).save(folder / f"{number}.png")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:100])
    lists = [["0.png", "1.png"], [], ["cut.png", "0.png"], [f"{each}.png" for each in range(50)]]
    manifest = folder / "users.parquet"
    pl.DataFrame({"user_id": ["a", "b", "c", "d"], "images": lists}).write_parquet(manifest)
    return manifest


def test_a_cache_holds_every_users_frames_a_little_larger_than_needed(
    users: Path, tmp_path: Path
) -> None:
    progress: list[tuple[int, int]] = []
    cache = open_cache(
        source(users), CacheOptions(tmp_path / "cache"), lambda *done: progress.append(done)
    )
    assert cache.counts.tolist() == [2, 0, 1, 44], "at most four volumes per user"
    assert cache.items_M.shape == (47, 20, 20, 3)
    assert cache.outcome.statuses == {"ok": 2, "no_images": 1, "partial": 1}
    assert progress[-1] == (4, 4)


def test_equal_images_have_equal_hashes(users: Path, tmp_path: Path) -> None:
    cache = open_cache(source(users), CacheOptions(tmp_path / "cache"))
    first, _, third, _ = (
        Subset(cache, np.array([user]), np.zeros((1, 1), int)) for user in range(4)
    )
    assert third.hashes.tolist() == first.hashes[:1].tolist()
    assert len(set(cache.hashes.tolist())) < len(cache.hashes)


def test_a_second_run_decodes_nothing(users: Path, tmp_path: Path) -> None:
    options = CacheOptions(tmp_path / "cache")
    first = open_cache(source(users), options)
    decoded: list[int] = []
    second = open_cache(source(users), options, lambda users, total: decoded.append(users))
    assert not decoded
    assert np.array_equal(first.items_M, second.items_M)


@pytest.mark.parametrize("file", ["frames.uint8", "users.npz", "cache.json"])
def test_a_damaged_cache_is_named_with_the_fix(users: Path, tmp_path: Path, file: str) -> None:
    cache = open_cache(source(users), CacheOptions(tmp_path / "cache"))
    damaged = cache.path / file
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(OutputError, match=r"frames in .* are damaged .*; remove that folder"):
        open_cache(source(users), CacheOptions(tmp_path / "cache"))


def test_images_in_the_manifest_are_cached_too(users: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(users)
    encoded = [[(users.parent / name).read_bytes() for name in names] for names in frame["images"]]
    carrying = users.parent / "bytes.parquet"
    frame.with_columns(images=pl.Series(encoded, dtype=pl.List(pl.Binary))).write_parquet(carrying)
    options = CacheOptions(tmp_path / "cache")
    by_path, by_bytes = (open_cache(source(each), options) for each in (users, carrying))
    assert np.array_equal(by_path.counts, by_bytes.counts)
    for user in range(4):
        frames = [
            each.items_M[each.starts[user] : each.starts[user] + each.counts[user]]
            for each in (by_path, by_bytes)
        ]
        assert np.array_equal(frames[0], frames[1])


def test_another_size_detail_manifest_or_image_leads_to_another_cache(users: Path) -> None:
    specs = (SPEC, replace(SPEC, detail="full"), VolumeSpec(height=32, width=16))
    keys = {source(users, spec).key() for spec in specs}
    Image.new("RGB", (9, 9)).save(users.parent / "0.png")
    keys.add(source(users).key())
    pl.read_parquet(users).head(2).write_parquet(users)
    keys.add(source(users).key())
    assert len(keys) == 5


@pytest.mark.parametrize("detail", ["full", "frame"])
def test_frames_are_decoded_with_the_detail_of_the_volume(users: Path, detail: Detail) -> None:
    job = source(users, replace(SPEC, detail=detail)).job(None)
    assert job.options.detail == detail


def test_the_least_recently_used_cache_is_removed_for_space(users: Path, tmp_path: Path) -> None:
    specs = [VolumeSpec(height=side, width=16) for side in (16, 17, 18)]
    size = 47 * 20 * 18 * 3  # bytes of the largest cache
    options = CacheOptions(tmp_path / "cache", 2.5 * size / 1e9)
    first = open_cache(source(users, specs[0]), options)
    second = open_cache(source(users, specs[1]), options)
    os.utime(second.path / "cache.json", (1, 1))
    FrameCache.open(first.path)
    open_cache(source(users, specs[2]), options)
    assert first.path.exists()
    assert not second.path.exists()


def test_frames_beyond_the_limit_end_the_run_with_a_fix(users: Path, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"more than `cache_gb`, which is 1e-05; raise it"):
        open_cache(source(users), CacheOptions(tmp_path / "cache", 1e-5))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_ends_the_run_with_a_fix(users: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from tweetprofile.data.manifests.manifest import Manifest\n"
        "from tweetprofile.training.cache_building import *\n"
        "opened = Manifest.open(sys.argv[1])\n"
        "spec = VolumeSpec(height=16, width=16)\n"
        "source = CacheSource.of(opened, opened.folder, spec, 'pillow', 'cpu')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "open_cache(source, CacheOptions(Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(users), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "WriteError" in done.stderr
    assert "make room there, give another `cache` folder, or lower `frame_size`" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_created_is_refused(users: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=r"cannot create the `cache` folder .*/file/cache"):
        open_cache(source(users), CacheOptions(tmp_path / "file" / "cache"))


def test_the_incomplete_cache_of_a_killed_run_is_removed(users: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from tweetprofile.data.manifests.manifest import Manifest\n"
        "from tweetprofile.training.cache_building import *\n"
        "opened = Manifest.open(sys.argv[1])\n"
        "spec = VolumeSpec(height=16, width=16)\n"
        "source = CacheSource.of(opened, opened.folder, spec, 'pillow', 'cpu')\n"
        "die = lambda users, total: os.kill(os.getpid(), signal.SIGKILL)\n"
        "open_cache(source, CacheOptions(Path(sys.argv[2])), die)"
    )
    subprocess.run([sys.executable, "-c", code, str(users), str(root)], check=False)
    (left,) = root.iterdir()
    assert left.suffix == ".tmp"
    cache = open_cache(source(users), CacheOptions(root))
    assert cache.counts.tolist() == [2, 0, 1, 44]
    assert list(root.iterdir()) == [cache.path]


def test_the_incomplete_cache_of_a_living_run_is_kept(users: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tweetprofile.training.cache_folders import unfinished\n"
        "with unfinished(Path(sys.argv[1])): print('building', flush=True); time.sleep(60)"
    )
    root.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(root / "other")], stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        open_cache(source(users), CacheOptions(root))
        assert len(list(root.glob("other.*.tmp"))) == 1
    finally:
        other.kill()
        other.wait()


def test_two_runs_may_build_the_same_cache(users: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    cache = open_cache(source(users), CacheOptions(root))
    kept = root / "kept"
    cache.path.rename(kept)

    def finish_first(users: int, total: int) -> None:
        if kept.exists():
            kept.rename(cache.path)

    again = open_cache(source(users), CacheOptions(root), finish_first)
    assert np.array_equal(again.items_M, cache.items_M)
