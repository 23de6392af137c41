"""Photos are found by any name of a downloader: by media key, or by tweet and position."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.tweets.media_index import FURTHER_FILES, MediaIndex
from tweetprofile.importers.tweets.media_names import read_name
from tweetprofile.importers.tweets.photos import Photo

Put = Callable[[Path], Path]

KEY = "FfF_0-9abcdeXYZ"  # 15 characters, as at Twitter
PHOTO = Photo("7", 106, 2, f"{KEY}.jpg")


def find(folder: Path, photo: Photo) -> str | None:
    with MediaIndex(folder, Skipped(None)) as index:
        return index.find(photo)


@pytest.mark.parametrize(
    "name",
    [
        f"{KEY}.jpg",
        f"{KEY}.JPG",
        f"{KEY}.png",  # the ending by the content
        f"{KEY}",
        f"{KEY}.jpg:orig",
        f"{KEY}.jpg:large",
        f"{KEY}?format=jpg&name=large",
        f"{KEY}.jpg?name=orig",
        f"{KEY}@format=jpg&name=4096x4096",  # Windows
        f"{KEY}%3Fformat=jpg&name=large",
        f"{KEY}.jpg%3Aorig",
        f"{KEY}.jpg_large",
        f"{KEY}.jpg-large",
        f"{KEY}_large.jpg",
        f"{KEY}-orig.jpg",
        f"{KEY}_ORIG.JPG",
        f"{KEY}-4096x4096.png",
        f"{KEY}.jpg.1",
        f"{KEY}.jpg.12",
        f"{KEY}.1.jpg",
        f"{KEY} (1).jpg",
        f"{KEY}.jpg.jpg",
        f"{KEY}.jpg_large.jpg",
        f"106-{KEY}.jpg",  # archives, twarc
        f"106_{KEY}.jpg",
        f"ada_106_{KEY}.jpg",
        f"ada-106-{KEY}_orig.jpg",
        f"2020-01-05_106_{KEY}.jpg",
        f"ada {KEY}.jpg",
        f"105-{KEY}.jpg",  # from another tweet with the same photo
        "106_2.jpg",  # gallery-dl
        "106_02.jpg",
        "106-2.webp",
        "ada_106_2.jpg",
        "ada-106-20200105_120000-img2.jpg",
        "106_photo_2.png",
    ],
)
def test_a_photo_is_found_by_every_name_that_downloaders_give(
    name: str, tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / "deep" / name)
    assert find(tmp_path, PHOTO) == f"deep/{name}"


@pytest.mark.parametrize(
    "name",
    [
        f"{KEY}.jpg.part",
        f"{KEY}.jpg.crdownload",
        f".{KEY}.jpg",
        f"{KEY.lower()}.jpg",
        f"{KEY}x.jpg",
        f"x{KEY}.jpg",
        "106_1.jpg",
        "1106_2.jpg",
        "106.jpg",
        "2.jpg",
        "_large.jpg",
        "?format=jpg",
    ],
)
def test_other_files_are_not_taken_for_the_photo(name: str, tmp_path: Path, put_image: Put) -> None:
    put_image(tmp_path / name)
    assert find(tmp_path, PHOTO) is None


@pytest.mark.parametrize(
    "name",
    [f"{KEY}.bin", f"{KEY}.jpg.file", f"{KEY}.php", "106_2.dat", f"106-{KEY}.jpg_large.file"],
)
def test_the_content_decides_if_the_ending_is_not_an_images(
    name: str, tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / name)
    assert find(tmp_path, PHOTO) == name


@pytest.mark.parametrize(
    "name", [f"{KEY}.json", f"{KEY}.jpg.json", f"{KEY}.mp4", "106_2.mp4", "106_2.jpg.json"]
)
def test_videos_and_notes_next_to_a_photo_are_not_taken_for_the_photo(
    name: str, tmp_path: Path, put_image: Put
) -> None:
    (tmp_path / name).write_text("{}")
    assert find(tmp_path, PHOTO) is None
    put_image(tmp_path / "z" / f"{KEY}_thumb.jpg")
    skipped = Skipped(None)
    with MediaIndex(tmp_path, skipped) as index:
        assert index.find(PHOTO) == f"z/{KEY}_thumb.jpg"
        index.count_further_files()
    assert not skipped.left_out


def test_a_key_of_any_length_is_found_after_the_number_of_a_tweet(
    tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / "ada_106_FFF.jpg")
    assert find(tmp_path, Photo("7", 106, 1, "FFF.jpg")) == "ada_106_FFF.jpg"


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        ([f"{KEY}_small.jpg", f"{KEY}.jpg:orig", f"{KEY}_large.jpg"], f"{KEY}.jpg:orig"),
        ([f"{KEY}.jpg", f"{KEY}?format=jpg&name=small"], f"{KEY}.jpg"),
        ([f"{KEY}.jpg", f"{KEY}?format=jpg&name=4096x4096"], f"{KEY}?format=jpg&name=4096x4096"),
        ([f"{KEY}_thumb.jpg", "106_2.jpg"], "106_2.jpg"),
        ([f"b/{KEY}.jpg", f"a/{KEY}.jpg.1", f"a/{KEY}.jpg"], f"a/{KEY}.jpg"),
    ],
)
def test_the_largest_of_several_files_of_a_photo_is_taken_and_the_others_are_counted(
    names: list[str], counts: str, tmp_path: Path, put_image: Put
) -> None:
    for name in names:
        put_image(tmp_path / name)
    skipped = Skipped(None)
    with MediaIndex(tmp_path, skipped) as index:
        assert index.find(PHOTO) == counts
        assert index.find(PHOTO) == counts  # from another tweet
        index.count_further_files()
    assert skipped.left_out == {FURTHER_FILES: len(names) - 1}


def test_a_long_name_of_numbers_has_few_keys() -> None:
    name = read_name("1_" * 120 + "a.jpg")
    assert name is not None
    assert len(name.keys) < 30
