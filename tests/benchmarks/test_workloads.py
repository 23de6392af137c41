"""The dumps of the benchmarks are what their names say, and the same for all who are compared."""

import io
from collections import Counter
from pathlib import Path

import click
import pyarrow.parquet as pq
import pytest
from dump import (
    Kind,
    draw_large_photos,
    draw_photos,
    encode,
    kind_of,
    read_photos,
    recode,
    write_users,
)
from PIL import Image
from screenshots import draw_screenshots
from workloads import SHARES, get_images, mix, usual_users

from tests.benchmarks.scripts import run, write_photos

SMALL = (120, 90)


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [encode(photo, "progressive") for photo in draw_large_photos(8, SMALL)]


@pytest.fixture(scope="module")
def mixed(photos: list[bytes]) -> list[bytes]:
    return mix(photos)


def size_of(image: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(image)) as opened:
        opened.load()
        return opened.size


def test_a_mixed_dump_has_its_exact_shares(mixed: list[bytes]) -> None:
    assert Counter(map(kind_of, mixed)) == SHARES
    assert sum(SHARES.values()) == 100


def test_photographs_keep_their_size_and_those_of_the_wanted_kind_their_bytes(
    photos: list[bytes], mixed: list[bytes]
) -> None:
    kept = {image for image in mixed if kind_of(image) == "progressive"}
    assert kept == set(photos)
    assert {size_of(image) for image in mixed if kind_of(image) in ("baseline", "webp")} == {SMALL}


def test_a_photograph_becomes_any_kind(photos: list[bytes]) -> None:
    kinds: tuple[Kind, ...] = ("baseline", "webp", "png", "progressive")
    for kind in kinds:
        assert kind_of(recode(photos[0], kind)) == kind
        assert size_of(recode(photos[0], kind)) == SMALL


def test_a_dump_is_the_same_in_every_run(photos: list[bytes], mixed: list[bytes]) -> None:
    assert mix(photos) == mixed


def test_users_of_a_mixed_dump_have_the_same_shares_and_several_kinds_each(
    tmp_path: Path, mixed: list[bytes]
) -> None:
    users = pq.read_table(write_users(tmp_path, mixed, users=100))["images"].to_pylist()
    suffixes = Counter(Path(name).suffix for names in users for name in names)
    assert suffixes == {".jpg": 935, ".png": 110, ".webp": 55}, "85%, 10%, 5% of 100 x 11 images"
    kinds = [{Path(name).suffix for name in names} for names in users]
    assert sum(len(each) > 1 for each in kinds) > 70


def test_users_get_images_in_files_named_for_their_kind(tmp_path: Path, mixed: list[bytes]) -> None:
    write_users(tmp_path, mixed, users=2)
    files = sorted((tmp_path / "images").iterdir())
    assert [path.read_bytes() for path in files] == mixed
    assert {(path.suffix, kind_of(path.read_bytes())) for path in files} == {
        (".jpg", "progressive"),
        (".jpg", "baseline"),
        (".png", "png"),
        (".webp", "webp"),
    }


def test_photographs_of_a_folder_become_progressive_or_stay_as_they_are(
    tmp_path: Path, photos: list[bytes]
) -> None:
    (tmp_path / "1.jpg").write_bytes(photos[0])
    (tmp_path / "2.jpeg").write_bytes(recode(photos[1], "baseline"))
    assert get_images("photos", tmp_path) == read_photos(tmp_path)
    progressive = get_images("progressive", tmp_path)
    assert progressive[0] == photos[0]
    assert kind_of(progressive[1]) == "progressive"


def test_a_folder_without_jpegs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="contains no JPEGs"):
        read_photos(tmp_path)


def test_screenshots_are_light_and_dark_and_show_a_picture() -> None:
    red = Image.new("RGB", (20, 20), "red")
    light, dark = draw_screenshots([red], 2, [(240, 180), (160, 240)])
    assert (light.size, dark.size) == ((240, 180), (160, 240))
    for screen, page in ((light, (255, 255, 255)), (dark, (21, 32, 43))):
        counts = {colour: count for count, colour in screen.getcolors(1 << 16) or []}
        assert counts[page] == max(counts.values())
        assert counts[255, 0, 0] > screen.width * screen.height / 8
        assert len(counts) > 20, "text has soft edges"


def test_large_drawn_photographs_compress_like_those_of_twitter() -> None:
    (photo,) = draw_large_photos(1)
    encoded = encode(photo, "progressive")
    assert size_of(encoded) == (1200, 900)
    assert 120_000 < len(encoded) < 190_000


def test_larger_images_are_measured_with_fewer_users() -> None:
    (large,) = draw_large_photos(1)
    assert usual_users([encode(large, "baseline")]) == 700
    assert usual_users(draw_photos(1)) == 1300


@pytest.mark.slow
def test_a_mixed_dump_is_predicted_by_all_alike(tmp_path: Path, photos: list[bytes]) -> None:
    folder = write_photos(tmp_path, photos)
    results = run(
        "throughput.py", photos=folder, dump="mixed", peers="dataloader", small=5, large=12
    )
    assert results["settings"]["images"]["kinds"] == SHARES
    assert results["settings"]["large"] == 12
    assert results["agreement"]["dataloader"]["same classes"] > 0.9


@pytest.mark.slow
def test_decoders_are_compared_by_detail(tmp_path: Path, photos: list[bytes]) -> None:
    folder = write_photos(tmp_path, photos[:1])
    large = run("decode.py", photos=folder, images=1)["large_progressive"]
    assert [list(large), list(large["dali"])] == [["pillow", "dali"], ["64", "112", "224"]]
    for figures in large["pillow"].values():
        assert list(figures["rates"]) == ["full", "frame"]
        assert 0 <= figures["mean_difference"] <= figures["worst_difference"] < 4
