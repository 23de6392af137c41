"""Texts are counted once, reused, bounded on the disk, and never used damaged."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.training.texts.drawn import SPEC
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import TextSpec
from tweetprofile.training.cache_building import CacheOptions
from tweetprofile.training.texts.counts import TextCounts, open_counts

TEXTS = [["uno dos", "uno"], [], None, ["tres", None, "", "café 😀 www.example.org"], ["uno"] * 9]

LIMITS = TextLimits()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users with two texts, none, null, some of them null or empty, and many equal ones."""
    path = tmp_path_factory.mktemp("manifest") / "users.parquet"
    texts = pl.Series(TEXTS, dtype=pl.List(pl.String))
    pl.DataFrame({"user_id": list("abcde"), "texts": texts}).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def counted(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of caches with the counts of all users."""
    root = tmp_path_factory.mktemp("counted")
    progress: list[tuple[int, int]] = []
    open_counts(
        Manifest.open(manifest),
        SPEC,
        LIMITS,
        CacheOptions(root),
        lambda *done: progress.append(done),
    )
    assert progress[-1] == (5, 5)
    return root


@pytest.fixture
def options(counted: Path, tmp_path: Path) -> CacheOptions:
    """Options with a copy of these caches, which a test may change."""
    return CacheOptions(shutil.copytree(counted, tmp_path / "cache"))


def count(
    manifest: Path,
    options: CacheOptions,
    spec: TextSpec = SPEC,
    limits: TextLimits = LIMITS,
) -> TextCounts:
    return open_counts(Manifest.open(manifest), spec, limits, options)


def files_of(root: Path) -> dict[Path, int]:
    """Return when each file of a cache was written, but for the one that marks its use."""
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.name != "cache.json"
    }


def test_the_counts_are_those_of_each_users_texts(manifest: Path, options: CacheOptions) -> None:
    counts = count(manifest, options)
    assert len(counts) == len(TEXTS)
    assert counts.texts.tolist() == [2, 0, 0, 2, 9]
    for user, texts in enumerate(TEXTS):
        expected = count_ngrams([text for text in texts or [] if text is not None], SPEC)
        found = counts.of_user(user)
        assert found.buckets_J.tolist() == expected.buckets_J.tolist()
        assert found.counts_J.tolist() == expected.counts_J.tolist()


def test_a_second_run_counts_nothing(manifest: Path, options: CacheOptions) -> None:
    first = count(manifest, options)
    written = files_of(options.root)
    progress: list[int] = []
    second = open_counts(
        Manifest.open(manifest),
        SPEC,
        LIMITS,
        options,
        lambda users, _: progress.append(users),
    )
    assert files_of(options.root) == written
    assert len(written) == 3
    assert not progress
    assert second.buckets_J.tolist() == first.buckets_J.tolist()


@pytest.mark.slow
def test_another_spec_limit_or_manifest_leads_to_another_cache(
    manifest: Path, options: CacheOptions, tmp_path: Path
) -> None:
    count(manifest, options, replace(SPEC, lower=False))
    count(manifest, options, limits=TextLimits(max_text_bytes=4))
    other = tmp_path / "other.parquet"
    pl.read_parquet(manifest).reverse().write_parquet(other)
    assert count(other, options).texts.tolist() == [9, 2, 0, 0, 2]
    assert len(list(options.root.iterdir())) == 4


def test_the_cache_holds_no_text(manifest: Path, options: CacheOptions) -> None:
    for path in options.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert "café".encode() not in content
            assert b"tres" not in content


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("file", ["buckets.uint32", "counts.uint16", "users.npz"])
def test_a_damaged_cache_is_named_with_the_fix(
    manifest: Path, options: CacheOptions, file: str, size: int
) -> None:
    (folder,) = options.root.iterdir()
    damaged = folder / file
    damaged.write_bytes(damaged.read_bytes()[:size])
    with pytest.raises(OutputError, match=rf"{folder} are damaged .*; remove that folder\.$"):
        count(manifest, options)


def test_a_cache_without_one_of_its_files_is_named_too(
    manifest: Path, options: CacheOptions
) -> None:
    (folder,) = options.root.iterdir()
    (folder / "counts.uint16").unlink()
    with pytest.raises(OutputError, match=rf"{folder} are damaged"):
        count(manifest, options)


def test_other_limits_are_counted_again_and_the_oldest_counts_removed_for_space(
    manifest: Path, options: CacheOptions
) -> None:
    size = 6 * len(count(manifest, options).buckets_J)
    (recent,) = options.root.iterdir()
    old = Path(shutil.copytree(recent, options.root / ("0" * 32)))
    os.utime(old / "cache.json", (1, 1))
    limited = replace(options, gigabytes=2 * size / 1e9)
    count(manifest, limited)  # only opened, so nothing has to make room
    assert old.exists()
    newest = count(manifest, limited, limits=TextLimits(max_texts=1))
    assert newest.texts.tolist() == [1, 0, 0, 1, 1]
    last = count_ngrams(["uno"], SPEC)
    assert newest.of_user(0).buckets_J.tolist() == last.buckets_J.tolist()
    assert recent.exists()
    assert not old.exists()
    assert len(list(options.root.iterdir())) == 2


def test_counts_of_users_without_any_text_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "buckets.uint32").touch()
    (tmp_path / "counts.uint16").touch()
    np.savez(tmp_path / "users.npz", starts=np.zeros(3, np.int64), texts=np.zeros(2, np.int64))
    counts = TextCounts.open(tmp_path)
    assert len(counts) == 2
    assert counts.of_user(1).buckets_J.tolist() == []


def test_a_cache_folder_that_cannot_be_written_is_refused(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot write the counted texts to .*/file/cache \("):
        count(manifest, CacheOptions(tmp_path / "file" / "cache"))
