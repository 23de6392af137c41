"""If all images of a manifest are missing, the cause is explained, with a file as evidence."""

import json
import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from PIL import Image

from tweetprofile.cli import main
from tweetprofile.data.images.missing import explain_missing
from tweetprofile.data.manifests.manifest import Manifest

NAME = "Ñandú 1.jpg"
NFC, NFD = (unicodedata.normalize(form, NAME) for form in ("NFC", "NFD"))


def put_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), "teal").save(path, "JPEG")
    return path


def put_manifest(folder: Path, *paths: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    users = [f"u{number}" for number in range(len(paths))]
    frame = pl.DataFrame({"user_id": users, "images": [[path] for path in paths]})
    frame.write_parquet(folder / "m.parquet")
    return folder / "m.parquet"


def explained(manifest: Path, root: Path | None = None) -> list[str]:
    opened = Manifest.open(manifest)
    assert isinstance(opened.folder, Path)
    return list(explain_missing(opened, root or opened.folder))


@pytest.mark.parametrize(
    ("on_disk", "in_manifest", "advice"),
    [
        ("u1/a b.jpg", "u1\\a b.jpg", "paths have '\\', as on Windows: write '/' instead."),
        ("u1/a b.jpg", "u1/a%20b.jpg", "paths are escaped as in web addresses: write a space for"),
        (f"u1/{NFC}", f"u1/{quote(NFC)}", "paths are escaped as in web addresses"),
        (f"u1/{NFD}", f"u1/{NFC}", "names are in Unicode form NFD on the disk, as a Mac writes"),
        (f"u1/{NFC}", f"u1/{NFD}", "names are in Unicode form NFC on the disk"),
        ("u1/a.jpg", "u1/a.jpg\n", "paths have spaces or line ends around them"),
        ("u1/a.JPG", "U1/a.jpg", "upper and lower case differ: write names as they are on the"),
        ("u1/a.jpg", "photos/u1/a.jpg", "remove 'photos/' from the paths."),
        ("u1/a.jpg", "/home/eve/dump/u1/a.jpg",
         "paths are absolute, as on another machine: remove '/home/eve/dump/' from the paths."),
        ("u1/a.jpg", "C:\\Users\\Eve\\dump\\u1\\a.jpg",
         "as on Windows: write '/' instead; remove 'C:/Users/Eve/dump/' from the paths."),
        ("u1/a b.jpg", "u1\\a%20b.jpg", "write '/' instead; paths are escaped as in web addresses"),
    ],
)  # fmt: skip
def test_a_wrongly_written_path_is_explained_by_the_file_that_it_stands_for(
    tmp_path: Path, on_disk: str, in_manifest: str, advice: str
) -> None:
    file = put_image(tmp_path / on_disk)
    (sentence,) = explained(put_manifest(tmp_path, in_manifest))
    assert advice in sentence
    assert f"would be found at {file}" in sentence
    assert "1 of the first 1:" in sentence


@pytest.mark.parametrize("root", ["dump/images", "dump", "."])
def test_a_wrong_image_root_is_explained_by_the_right_one(tmp_path: Path, root: str) -> None:
    put_image(tmp_path / root / "u1" / "a.jpg")
    (sentence,) = explained(put_manifest(tmp_path / "dump" / "tables", "u1/a.jpg"))
    assert sentence.endswith(f": set `image_root` to {(tmp_path / root).resolve()}.")


def test_an_image_root_that_is_one_folder_too_deep_is_explained(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "u1" / "a.jpg")
    manifest = put_manifest(tmp_path / "elsewhere", "images/u1/a.jpg")
    (sentence,) = explained(manifest, tmp_path / "images")
    assert sentence.endswith(f": set `image_root` to {tmp_path}.")


def test_absolute_paths_of_this_machine_are_explained(tmp_path: Path) -> None:
    file = put_image(tmp_path / "images" / "a.jpg")
    manifest = put_manifest(tmp_path / "elsewhere", str(file))
    (sentence,) = explained(manifest)
    assert sentence.endswith("paths are absolute: set `image_root` to /.")
    (sentence,) = explained(manifest, tmp_path / "images")
    assert sentence.endswith(f"paths are absolute: remove '{tmp_path}/images/' from them.")


def test_a_tilde_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    put_image(tmp_path / "images" / "a.jpg")
    (sentence,) = explained(put_manifest(tmp_path / "x" / "y", "~/images/a.jpg"))
    assert "paths begin with '~', which only a shell expands: write the full path" in sentence


def test_several_causes_are_listed_with_the_most_frequent_first(tmp_path: Path) -> None:
    for number in range(3):
        put_image(tmp_path / "u1" / f"{number}.jpg")
    manifest = put_manifest(tmp_path, "u1\\0.jpg", "U1/2.jpg", "u1\\1.jpg", "gone.jpg")
    first, second = explained(manifest)
    assert "2 of the first 4: paths have '\\'" in first
    assert "1 of the first 4: upper and lower case" in second


def test_if_nothing_is_found_the_searched_folder_is_named(tmp_path: Path) -> None:
    (sentence,) = explained(put_manifest(tmp_path, "gone.jpg", "../../etc/hosts", "x" * 5000))
    assert f"'gone.jpg' does not exist under {tmp_path}" in sentence
    (sentence,) = explained(put_manifest(tmp_path, "https://pbs.twimg.com/media/a.jpg"))
    assert "is a web address, and nothing is downloaded: download" in sentence


def test_paths_of_existing_files_need_no_explanation(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    assert explained(put_manifest(tmp_path, "a.jpg", "gone.jpg")) == []


def test_predict_exits_with_3_and_says_what_to_check(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_image(tmp_path / "u1" / "a.jpg")
    manifest, out = put_manifest(tmp_path, "u1\\a.jpg", "gone.jpg"), tmp_path / "out.csv"
    told = ["predict", str(manifest), "-o", str(out), "--checkpoint", str(model)]
    assert main([*told, "--devices", "cpu"]) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"tweetprofile: {out} is complete, but not one of its 2 images was us")
    assert "paths have '\\', as on Windows: write '/' instead." in said
    assert len(out.read_text().splitlines()) == 3
    assert main([*told, "--devices", "cpu", "--resume"]) == 3, (
        "a complete output is checked in the same way"
    )


def test_predict_exits_with_0_if_one_of_all_images_was_usable(tmp_path: Path, model: Path) -> None:
    put_image(tmp_path / "u1" / "a.jpg")
    manifest, out = put_manifest(tmp_path, "u1/a.jpg", "gone.jpg"), str(tmp_path / "out.csv")
    told = ["predict", str(manifest), "-o", out, "--checkpoint", str(model), "-q"]
    assert main([*told, "--devices", "cpu"]) == 0


def test_inspect_says_what_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_image(tmp_path / "images" / "u1" / "a.jpg")
    manifest = put_manifest(tmp_path / "tables", "images/u1/a.jpg")
    assert main(["inspect", str(manifest), "--json"]) == 0
    (hint,) = json.loads(capsys.readouterr().out)["hints"]
    assert re.search(rf"set (`image_root`|--image-root) to {re.escape(str(tmp_path))}\.$", hint)
    assert main(["inspect", str(manifest)]) == 0
    assert "set --image-root to" in capsys.readouterr().out.replace("\n", " ")
