"""Damage to a progressive JPEG has the outcome of a full decode, or it lies in scans that a frame
does not need, and then the frame is that of the undamaged image."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.attack.damaged_progressive import KINDS, DamagedImage, damaged_image
from tests.attack.progressive_jpegs import DATA, SCAN, originals, parts_of, scans_of
from tests.conftest import DATA as DATA_FOLDER
from tests.decoders.jpeg_scripts import ScanSpec
from tests.decoders.jpeg_writer import write_jpeg
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.scan_choice import shorten_jpeg
from tweetprofile.errors import Reason

SIDE = 16
"""The side of the frames: 320 x 240 pixels shrink to it as 1,200 x 900 shrink to 60."""

ALIKE = 2.5
"""The grey levels by which a frame and a full decode differ at most."""

CHILD = """
import sys
from tests.attack.test_damaged_progressive import check_all
check_all(*map(int, sys.argv[1:4]), sys.argv[4:])
"""


class Outcome(NamedTuple):
    """What became of one image: a frame, or a reason."""

    frame: NDArray[np.int16] | None
    reason: Reason | None


class Verdict(NamedTuple):
    """How the outcomes of an image compare.

    Attributes:
        name: `same outcome`; `undamaged frame`, if the damage has no effect at all on the frame; or
            `unnoticed`, if only a full decode gives a reason.
        broken: The promise that is broken, if one is.
    """

    name: str
    broken: str | None = None


class Promise:
    """Compares the frame of a damaged image with its full decode.

    Args:
        side: The height and width of a frame.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        self._frame = PillowDecoder(DecodeOptions(side, side, threads=1, detail="frame"))
        self._full = PillowDecoder(DecodeOptions(side, side, threads=1, detail="full"))

    def check(self, image: DamagedImage) -> Verdict:
        """Return how the outcomes of an image compare."""
        frame, full = outcome(self._frame, image.data), outcome(self._full, image.data)
        differ = frame.reason != full.reason
        shortened = shorten_jpeg(image.data, self._side)
        if frame.frame is None or shortened is None:
            return Verdict("same outcome", "another outcome than a full decode" if differ else None)
        needed = needed_parts(image.original, self._side)
        start, end = damaged_range(image)
        if differ and any(low < start and end < high for low, high in needed):
            return Verdict("unnoticed", "damage to what is decoded was not noticed")
        if all(end < low or high < start for low, high in needed):
            undamaged = outcome(self._frame, image.original)
            if np.array_equal(frame.frame, undamaged.frame):  # type: ignore[arg-type]
                return Verdict("unnoticed" if differ else "undamaged frame")
            # An end marker within scans that are not needed also ends a full decode.
            if full.frame is None or np.abs(frame.frame - full.frame).mean() > ALIKE:
                return Verdict("same outcome", "damage elsewhere changed the frame")
        return Verdict("unnoticed" if differ else "same outcome")


def outcome(decoder: PillowDecoder, image: bytes) -> Outcome:
    """Decode one image."""
    decoded = decoder.decode([image])
    (reason,) = decoded.failures
    frame = decoded.frames_FHWC[0].numpy().astype(np.int16) if reason is None else None
    return Outcome(frame, reason)


def needed_parts(jpeg: bytes, side: int) -> list[tuple[int, int]]:
    """Return the ranges of a regular JPEG that a frame is decoded from."""
    short = shorten_jpeg(jpeg, side, guesses=True)
    if short is None:
        return [(0, len(jpeg))]
    shortened = short.data
    scans = scans_of(jpeg)
    headers = [part.start for part in parts_of(jpeg) if part.marker == SCAN]
    needed, position = [(0, scans[0].start)], scans[0].start
    assert shortened.startswith(jpeg[:position])
    for scan, header in zip(scans, headers, strict=True):
        # Tables are kept without their scan, since they may serve a later one.
        for end in (scan.end, header):
            if shortened.startswith(jpeg[scan.start : end], position):
                position += end - scan.start
                begins = needed.pop()[0] if needed[-1][1] == scan.start else scan.start
                needed.append((begins, end))
                break
    assert shortened[position:] == b"\xff\xd9"
    return needed


def damaged_range(image: DamagedImage) -> tuple[int, int]:
    """Return the range of the original outside of which nothing was changed."""
    original, data = image.original, image.data
    size = min(len(original), len(data))
    start = _length_of_same(original[:size], data[:size])
    rest = size - start
    same = _length_of_same(original[::-1][:rest], data[::-1][:rest])
    return start, len(original) - same


def _length_of_same(one: bytes, other: bytes) -> int:
    different = np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)
    return int(different.argmax()) if different.any() else len(one)


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return originals()


@pytest.fixture(scope="module")
def promise() -> Promise:
    return Promise(SIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_noticed_as_in_a_full_decode_or_does_not_show(
    images: list[bytes], promise: Promise, kind: str
) -> None:
    first = list(KINDS).index(kind)
    for seed in range(first, 4 * len(KINDS), len(KINDS)):
        assert promise.check(damaged_image(seed, images)).broken is None, seed


def test_undamaged_images_are_shortened(images: list[bytes]) -> None:
    """Otherwise the tests above compare a full decode with itself."""
    shortened = [shorten_jpeg(image, SIDE) for image in images]
    assert sum(each is not None for each in shortened) > len(images) * 0.7


def test_damage_to_scans_that_are_not_decoded_does_not_change_the_frame(
    images: list[bytes], promise: Promise
) -> None:
    """The file is complete, and nothing of the frame is in its later scans."""
    image = images[0]
    needed_end = max(end for _, end in needed_parts(image, SIDE))
    place = (needed_end + len(image)) // 2
    damaged = image[:place] + bytes(200) + image[place + 200 :]
    assert promise.check(DamagedImage("zeros", image, damaged)) == Verdict("undamaged frame")


@pytest.mark.parametrize("inserted", ["ffd8", "ffc20003aa", "ffdb000307", "ffda0003a0"])
def test_a_marker_that_ends_a_scan_early_is_noticed(
    images: list[bytes], promise: Promise, inserted: str
) -> None:
    """Of a few bytes, the scan would not seem to be worth its time, and nothing else is read."""
    for image in images[::4]:
        for part in parts_of(image):
            if part.marker == DATA:
                data = image[: part.start] + bytes.fromhex(inserted) + image[part.start :]
                assert promise.check(DamagedImage("", image, data)).broken is None, part


def test_a_scan_that_does_not_belong_there_and_ends_another_is_noticed(
    images: list[bytes], promise: Promise
) -> None:
    """The slow version below found it: the scan inserted repeats coefficients."""
    assert promise.check(damaged_image(6743, images)).broken is None


@pytest.mark.parametrize("first", range(54, 64))
def test_a_refinement_of_the_last_coefficients_alone_is_judged(first: int) -> None:
    """No encoder writes such a scan, but it is allowed."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    before = ScanSpec((0,), 0, 0), ScanSpec((0,), 1, first - 1), ScanSpec((0,), first, 63, 0, 1)
    jpeg = write_jpeg(noise, (*before, ScanSpec((0,), first, 63, 1, 0)))
    for side in (4, 16, 64):
        assert Promise(side).check(DamagedImage("", jpeg, jpeg)).broken is None


def check_all(first: int, end: int, side: int, files: Sequence[str]) -> None:
    """Check the seeds from `first` to `end`; write each before it is tried, then its verdict."""
    images = [Path(file).read_bytes() for file in files] or originals()
    promise = Promise(side)
    for seed in range(first, end):
        sys.stdout.write(f"{seed} ")
        sys.stdout.flush()
        image = damaged_image(seed, images)
        sys.stdout.write(json.dumps([image.kind, *promise.check(image)]) + "\n")


def check_in_processes(ends: Sequence[int], side: int, files: Sequence[Path] = ()) -> Counter[str]:
    """Check the seeds from each end to the next in a process of their own; count the verdicts."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, *map(str, (first, end, side, *files))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libjpeg-turbo tells each fault that it finds
            text=True,
        )
        for first, end in pairwise(ends)
    ]
    lines = []
    for child in children:
        lines += child.communicate()[0].splitlines()
        assert child.returncode == 0, f"the process ended at {lines[-1]}"
    verdicts = [json.loads(line.partition(" ")[2]) for line in lines]
    broken = [line for line, verdict in zip(lines, verdicts, strict=True) if verdict[2]]
    assert not broken, "\n".join(broken)
    return Counter(name for _, name, _ in verdicts)


@pytest.mark.slow
def test_twenty_thousand_damaged_images_end_no_process_and_keep_the_promise() -> None:
    verdicts = check_in_processes((0, 10_000, 20_000), SIDE)
    assert verdicts.total() == 20_000
    assert min(verdicts["undamaged frame"], verdicts["unnoticed"]) > 100


@pytest.mark.slow
def test_damaged_photographs_end_no_process_and_keep_the_promise() -> None:
    photos = sorted((DATA_FOLDER / "twitter" / "progressive").glob("*.jpg"))
    if not photos:
        pytest.skip("no progressive photographs")
    verdicts = check_in_processes((0, 1500, 3000), 64, photos)
    assert min(verdicts["undamaged frame"], verdicts["unnoticed"]) > 30
