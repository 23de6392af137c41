"""The facts of an image are found with little work, and never contradict decoding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.job import FrameSize, PredictorOptions
from tweetprofile.workers.examiner import Examiner
from tweetprofile.workers.findings import crashed_findings

ONLY_DECODING_TELLS = {"png of noise"}
"""Damaged images whose header and end show no fault."""

NOT_DECODED = {
    "jpeg", "progressive jpeg", "grey jpeg", "cmyk jpeg", "turned jpeg", "two-image jpeg", "png",
    "alpha png", "palette png", "clear palette png", "16-bit png", "bilevel png", "turned png",
    "png of broken exif", "webp", "turned webp", "one pixel",
}  # fmt: skip


def examine(
    images: dict[str, bytes], *, full_decode: bool = False, **options: Any
) -> dict[str, dict[str, Any]]:
    """Return the row of each image, examined as the only image of a user."""
    examiner = Examiner(
        FrameSize(11, 112, 112), full_decode, PredictorOptions(device="cpu", threads=1, **options)
    )
    users = [UserImages(name, (ImageRef(data=data),)) for name, data in images.items()]
    return {row["user_id"]: row for row in examiner(users).to_pylist()}


def reasons(rows: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    failures = {name: row["failures"] for name, row in rows.items()}
    return {name: each[0]["reason"] if each else None for name, each in failures.items()}


def by_decoding(images: dict[str, bytes]) -> dict[str, str | None]:
    decoded = PillowDecoder(DecodeOptions(112, 112, threads=1)).decode(list(images.values()))
    return dict(zip(images, decoded.failures, strict=True))


def test_complete_images_of_common_formats_are_not_decoded(good_images: dict[str, bytes]) -> None:
    rows = examine(good_images)
    assert {name for name, row in rows.items() if not row["decoded"]} == NOT_DECODED
    assert set(reasons(rows).values()) == {None}


def test_damaged_images_get_the_decoders_reason(damaged_images: dict[str, bytes]) -> None:
    found, expected = reasons(examine(damaged_images)), by_decoding(damaged_images)
    assert {name for name in expected if found[name] != expected[name]} == ONLY_DECODING_TELLS


def test_full_decode_detects_damage_inside_pixel_data(damaged_images: dict[str, bytes]) -> None:
    found = examine(damaged_images, full_decode=True)
    assert reasons(found) == by_decoding(damaged_images)
    assert all(row["decoded"] for row in found.values())


def test_an_image_cut_anywhere_gets_the_decoders_result(good_images: dict[str, bytes]) -> None:
    cut = {
        f"{kind} {size}": good_images[kind][:size]
        for kind in ("jpeg", "progressive jpeg", "png", "webp", "gif")
        for size in range(1, len(good_images[kind]), len(good_images[kind]) // 15)
    }
    assert reasons(examine(cut)) == by_decoding(cut)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_format_size_and_bytes_are_reported(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str
) -> None:
    image = encode(draw(50, 20), kind)
    row = examine({"it": image})["it"]
    assert (row["formats"], row["widths"], row["heights"]) == ([kind], [50], [20])
    assert row["sizes"] == [len(image)]


def test_the_pixel_cap_is_the_last_size_that_is_not_too_large(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    images = {kind: encode(draw(50, 20), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")}
    assert set(reasons(examine(images, max_pixels=1000)).values()) == {None}
    assert set(reasons(examine(images, max_pixels=999)).values()) == {"too_large"}


def test_equal_images_have_equal_digests_and_different_ones_differ(
    good_images: dict[str, bytes],
) -> None:
    rows = examine({**good_images, "again": good_images["jpeg"]})
    digests = {name: row["digests"][0] for name, row in rows.items()}
    assert digests.pop("again") == digests["jpeg"]
    assert len(set(digests.values())) == len(good_images)


def test_the_status_is_that_of_predict_and_the_failures_are_complete(
    good_images: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "good.jpg").write_bytes(good_images["jpeg"])
    names = ["good.jpg"] * 30
    names[1] = names[3] = "gone.jpg"  # 3 is among the 11 that are tried, 1 is not
    examiner = Examiner(FrameSize(11, 112, 112), False, PredictorOptions(tmp_path, device="cpu"))
    refs = tuple(ImageRef(name) for name in names)
    (row,) = examiner([UserImages("zoe", refs, left_out=5)]).to_pylist()
    assert (row["status"], row["frames_used"], row["images_given"]) == ("partial", 11, 35)
    assert [failure["index"] for failure in row["failures"]] == [1, 3]
    assert [error["index"] for error in row["image_errors"]] == [3]


def test_a_user_who_crashes_the_worker_has_a_row_with_the_same_columns(
    good_images: dict[str, bytes],
) -> None:
    examiner = Examiner(FrameSize(11, 112, 112), False, PredictorOptions(device="cpu"))
    usual = examiner([UserImages("zoe", (ImageRef(data=good_images["jpeg"]),))])
    crashed = crashed_findings(7)
    assert crashed.schema == usual.schema
    (row,) = crashed.to_pylist()
    assert (row["status"], row["images_given"], row["frames_used"]) == ("crashed", 7, 0)
