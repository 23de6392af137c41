"""An image over its deadline is the only one lost; work that progresses is never cut short."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.attack.hostile_images import encode, noise, slow_jpeg_2000
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.engines.worker import MOST_SLOW_IMAGES, refuse_images
from tweetprofile.errors import OptionError, Reason
from tweetprofile.inspection.contact_sheets import SheetOptions, draw_contact_sheets
from tweetprofile.inspection.run import InspectOptions, inspect_manifest
from tweetprofile.job import PredictorOptions
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest

WriteUsers = Callable[..., Path]
Predict = Callable[[Path, PredictOptions], pl.DataFrame]

slow = pytest.mark.slow

CULPRIT = 4
USERS = 10


@pytest.fixture
def options(options: PredictOptions) -> PredictOptions:
    return replace(options, max_image_seconds=1.0)


@pytest.fixture
def predict(predict: Callable[..., tuple[pl.DataFrame, tuple[str, ...]]]) -> Predict:
    """Predicts a manifest, in a run in which no worker crashes or hangs."""

    def predict_undisturbed(manifest: Path, options: PredictOptions) -> pl.DataFrame:
        profiles, deaths = predict(manifest, options)
        assert deaths == ()
        return profiles

    return predict_undisturbed


def good(user: int) -> list[bytes]:
    return [encode(noise(16 + user + image), "PNG") for image in range(10)]


def with_others(images: list[bytes], others: list[bytes]) -> list[bytes]:
    """Return the images with the others inserted after the first one."""
    return [images[0], *others, *images[1:]]


def errors(profiles: pl.DataFrame, user: int) -> list[tuple[int, str]]:
    row = profiles.row(user, named=True)
    return [(error["index"], error["reason"]) for error in row["image_errors"]]


@pytest.mark.usefixtures("faulty_library")
@pytest.mark.parametrize("how", ["compute", pytest.param("hang with the lock", marks=slow)])
def test_an_image_over_its_deadline_is_the_only_one_lost(
    write_users: WriteUsers, options: PredictOptions, predict: Predict, how: str
) -> None:
    slow_image = b"FAULTY" + how.encode()
    profiles = predict(write_users(USERS, {CULPRIT: with_others(good(0), [slow_image])}), options)
    harmless = write_users(USERS, {CULPRIT: with_others(good(0), [b"?"])}, name="harmless")
    reference = predict(harmless, options)
    assert errors(profiles, CULPRIT) == [(1, "too_slow")]
    columns = pl.all().exclude("image_errors")
    assert profiles.select(columns).equals(reference.select(columns))
    assert profiles.row(CULPRIT, named=True)["frames_used"] == 10


@slow
@pytest.mark.usefixtures("faulty_library")
def test_an_image_that_waits_for_a_hanging_one_is_not_lost_with_it(
    write_users: WriteUsers, options: PredictOptions, predict: Predict
) -> None:
    """Its thread cannot continue while the other one holds Python's lock, so it seems slow, too.

    The library sleeps for a second before it finds the image corrupt.
    """
    users = {CULPRIT: with_others(good(0), [b"FAULTYhang with the lock"]), 9: [b"FAULTYnap"]}
    profiles = predict(write_users(USERS, users), options)
    assert errors(profiles, CULPRIT) == [(1, "too_slow")]
    assert errors(profiles, 9) == [(0, "corrupt")]


@slow
def test_an_image_that_is_really_slow_to_decode_is_the_only_one_lost(
    write_users: WriteUsers, options: PredictOptions, predict: Predict
) -> None:
    users = {CULPRIT: with_others(good(0), [slow_jpeg_2000(0.2)])}
    profiles = predict(write_users(USERS, users), replace(options, max_image_seconds=0.3))
    assert errors(profiles, CULPRIT) == [(1, "too_slow")]
    assert profiles.row(CULPRIT, named=True)["frames_used"] == 10


@slow
@pytest.mark.usefixtures("faulty_library")
def test_slow_images_of_several_users_cost_each_of_them_only_those_images(
    write_users: WriteUsers, options: PredictOptions, predict: Predict
) -> None:
    slow_images = [b"FAULTYcompute"] * 2
    users = {user: with_others(good(user), slow_images) for user in (0, 1, 2, 9, 17)}
    limit = replace(options, max_image_seconds=0.3, stall_seconds=60)
    profiles = predict(write_users(20, users), limit)
    for user in users:
        assert errors(profiles, user) == [(1, "too_slow"), (2, "too_slow")]
        assert profiles.row(user, named=True)["frames_used"] == 10
    assert set(profiles["status"]) == {"ok", "partial"}


@slow
@pytest.mark.usefixtures("faulty_library")
def test_each_image_of_a_user_who_is_tried_alone_has_a_deadline_too(
    write_users: WriteUsers, options: PredictOptions
) -> None:
    both = [b"FAULTYSIGSEGV", b"FAULTYcompute"]
    manifest = write_users(
        USERS, {2: with_others(good(0), both[1:]), CULPRIT: with_others(good(1), both)}
    )
    out = manifest.with_suffix(".out.parquet")
    summary = predict_manifest(manifest, out, options)
    profiles = pl.read_parquet(out)
    assert errors(profiles, 2) == [(1, "too_slow")]
    assert profiles["status"].to_list().count("crashed") == 1
    assert profiles.row(CULPRIT, named=True)["status"] == "crashed"
    assert all("SIGSEGV" in death for death in summary.deaths)


@pytest.mark.usefixtures("faulty_library")
def test_an_inspection_has_the_same_deadline(write_users: WriteUsers) -> None:
    manifest = write_users(USERS, {CULPRIT: with_others(good(0), [b"FAULTYcompute"])})
    found = inspect_manifest(manifest, InspectOptions(max_image_seconds=1.0))
    assert found.deaths == ()
    assert dict(found.reasons) == {"too_slow": 1}
    assert found.images.usable == 5 * (USERS - 1) + 10


@slow
@pytest.mark.usefixtures("faulty_library")
def test_a_contact_sheet_has_the_same_deadline(write_users: WriteUsers, tmp_path: Path) -> None:
    manifest = write_users(3, {1: with_others(good(0), [b"FAULTYcompute"])})
    options = SheetOptions(max_image_seconds=1.0)
    assert draw_contact_sheets(manifest, 3, tmp_path / "sheets", options) == 3


def test_a_batch_of_much_harmless_work_does_not_count_as_hung(
    write_users: WriteUsers, options: PredictOptions, predict: Predict
) -> None:
    """40 PNGs of 16 megapixels, each of which is broken near its end."""
    corrupt = bytearray(encode(Image.new("RGB", (4000, 4000)), "PNG"))
    corrupt[len(corrupt) * 9 // 10] ^= 255
    manifest = write_users(2, {0: [bytes(corrupt)] * 40})
    impatient = replace(options, stall_seconds=2.0, max_image_seconds=10.0)
    profiles = predict(manifest, impatient)
    assert profiles.row(0, named=True)["status"] == "unusable"
    assert errors(profiles, 0) == [(index, "corrupt") for index in range(40)]


def test_a_user_with_too_many_slow_images_is_given_up() -> None:
    user = UserImages(0, tuple(ImageRef(f"{image}.jpg") for image in range(1000)))
    neighbour = UserImages(1, (ImageRef("0.jpg"),))
    found = frozenset((0, image) for image in range(MOST_SLOW_IMAGES))
    given_up, same = refuse_images([user, neighbour], found)
    assert {ref.refused for ref in given_up.images} == {Reason.TOO_SLOW}
    assert same == neighbour
    before, _ = refuse_images([user, neighbour], found - {(0, 0)})
    assert sum(ref.refused is Reason.TOO_SLOW for ref in before.images) == MOST_SLOW_IMAGES - 1


def test_a_deadline_of_zero_is_refused() -> None:
    with pytest.raises(OptionError, match="`max_image_seconds` is 0; it must be above 0"):
        PredictorOptions(max_image_seconds=0)
