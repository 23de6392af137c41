"""A page is made of any profiles and manifest, or one sentence says why not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.browsing.conftest import ALL, SCHEMA, USERS, Made
from tests.browsing.tables import add_evidence, users_of
from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.browsing.output_folder import new_folder
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.cli import main
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.errors import (
    ManifestError,
    OptionError,
    OutputError,
    PredictionsError,
    WriteError,
)


def test_every_file_says_what_it_is_and_only_the_page_is_on_top(made: Made) -> None:
    assert sorted(path.name for path in made.page.iterdir()) == ["files", "index.html"]
    files = [path for path in made.page.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".js", ".jpg"}
    assert {kind_of(path) for path in files} == {Kind.BROWSE}


def test_the_browser_is_told_to_load_and_run_nothing_but_the_files_of_the_page(made: Made) -> None:
    page = (made.page / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].split("; ") == [
        "default-src 'none'", "img-src 'self' data:", "style-src 'self'", "script-src 'self'",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    scripts = "".join(path.read_text() for path in (made.page / "files").glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", scripts)


def test_thumbnails_are_the_images_of_their_users(made: Made) -> None:
    listed = users_of(made.page)
    side = listed["side"]
    for user in (0, 8, 20):
        sprite = Image.open(made.page / "files" / f"sprite-{user // 4}.jpg")
        place = listed["cell"][user]
        left, top = place % 12 * side, place // 12 * side
        found = np.asarray(sprite.crop((left, top, left + side, top + side)), float)
        image = Image.open(made.folder / f"{user}-0.png").resize((side, side))
        assert np.abs(found - np.asarray(image, float)).mean() < 12


def test_a_sample_is_spread_evenly_and_always_the_same(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    for page in ("one", "two"):
        summary = browse_profiles(profiles, manifest, tmp_path / page, BrowseOptions(sample=8))
        assert (summary.users, summary.of) == (8, ALL)
        assert users_of(tmp_path / page)["ids"] == [f"user-{user:02}" for user in range(0, ALL, 5)]
    assert "8 of 40 users: 8 users spread evenly" in (tmp_path / "one/index.html").read_text()


def test_one_user_is_counted_as_one(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts(gender=["female"] * ALL)
    browse_profiles(profiles, manifest, tmp_path / "one", BrowseOptions(sample=1, mistakes=1))
    page = (tmp_path / "one" / "index.html").read_text()
    assert "1 user spread evenly over the manifest, the most confident mistake of each" in page
    pl.read_parquet(manifest).head(1).write_parquet(manifest)
    summary = browse_profiles(profiles, manifest, tmp_path / "only")
    assert "This page shows the only user." in (tmp_path / "only" / "index.html").read_text()
    assert summary.notes == (
        "39 profiles are of users whom the manifest lacks; the page leaves them out.",
    )


def test_the_most_confident_mistakes_and_named_users_are_added_to_the_sample(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts(gender=["female", "male"] * (ALL // 2))
    table = pq.read_table(profiles)
    wrong = {
        user: confidence
        for user, guess, confidence, truth in zip(
            table["user_id"].to_pylist(),
            table["gender"].to_pylist(),
            table["gender_confidence"].to_pylist(),
            ["female", "male"] * (ALL // 2),
            strict=True,
        )
        if guess != truth
    }
    worst = sorted(wrong, key=lambda user: -wrong[user])[:3]
    options = BrowseOptions(mistakes=3)
    browse_profiles(profiles, manifest, tmp_path / "mistakes", options)
    assert users_of(tmp_path / "mistakes")["ids"] == sorted(worst)
    options = BrowseOptions(mistakes=3, sample=1, users=("user-39", "user-38"))
    browse_profiles(profiles, manifest, tmp_path / "all", options)
    assert set(users_of(tmp_path / "all")["ids"]) == {*worst, "user-00", "user-39", "user-38"}
    page = (tmp_path / "all" / "index.html").read_text()
    assert "do not stand for all" in page
    assert "the 3 most confident mistakes of each trait, 2 users chosen by id" in page


def test_labels_may_be_in_a_manifest_of_their_own_in_another_order(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    labels = {"user_id": ["user-07", "user-01", "nobody"], "gender": ["male", None, "female"]}
    frame = pl.DataFrame({**labels, "images": [["x.png"]] * 3})
    frame.write_parquet(tmp_path / "labels.parquet")
    options = BrowseOptions(labels=str(tmp_path / "labels.parquet"))
    browse_profiles(profiles, manifest, tmp_path / "page", options)
    gender, place = users_of(tmp_path / "page")["truth"]
    assert gender == [1 if user == 7 else -1 for user in range(ALL)]
    assert place == [-1] * ALL


def test_users_without_a_profile_or_a_place_in_the_manifest_are_counted(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    pl.read_parquet(manifest).filter(pl.col("user_id") != "user-03").write_parquet(manifest)
    table = pq.read_table(profiles).slice(2)
    facts = {b"tweetprofile": pq.read_schema(profiles).metadata[b"tweetprofile"]}
    pq.write_table(table.replace_schema_metadata(facts), profiles)
    summary = browse_profiles(profiles, manifest, tmp_path / "page")
    assert summary.users == ALL - 3
    assert summary.notes == (
        "1 profile is of a user whom the manifest lacks; the page leaves it out.",
        "2 users of the manifest have no profile; the page leaves them out.",
    )
    assert "1 profile is of a user" in (tmp_path / "page" / "index.html").read_text()


def test_no_id_and_no_text_is_in_an_anonymous_page(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    add_evidence(profiles, SCHEMA, texts=[2] * ALL)
    browse_profiles(profiles, manifest, tmp_path / "page", BrowseOptions(anonymous=True))
    for path in (tmp_path / "page").rglob("*"):
        assert "user-0" not in path.name
        if path.suffix in (".html", ".js"):
            for hidden in ("user-0", "of user 0", str(tmp_path)):
                assert hidden not in path.read_text(), path
    page = (tmp_path / "page" / "index.html").read_text()
    assert "faces and what is written in images are not" in page
    assert users_of(tmp_path / "page")["ids"] is None


def test_no_id_and_no_name_of_an_image_is_in_an_anonymous_page(made: Made, tmp_path: Path) -> None:
    options = BrowseOptions(anonymous=True)
    summary = browse_profiles(made.profiles, made.manifest, tmp_path / "page", options)
    assert summary.images > USERS
    names = pl.read_parquet(made.manifest)["images"].explode().drop_nulls().to_list()
    hidden = [each.encode() for each in (*made.ids, *names)]
    hidden += [json.dumps(each)[1:-1].encode() for each in (*made.ids, *names)]
    for path in (tmp_path / "page").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert [each for each in hidden if each in content] == [], path


def test_texts_are_shown_only_if_they_are_wanted(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    add_evidence(profiles, SCHEMA, texts=[2] * ALL)
    for shown in (True, False):
        page = tmp_path / f"{shown}"
        browse_profiles(profiles, manifest, page, BrowseOptions(texts=shown))
        details = (page / "files" / "details-0.js").read_text()
        assert ("text 1 of user 6" in details) is shown


def test_an_earlier_page_is_replaced_only_on_request_and_a_foreign_file_never(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    page = tmp_path / "page"
    page.mkdir()
    browse_profiles(profiles, manifest, page)
    with pytest.raises(OutputError, match=r"is not empty; .* pass `overwrite=True`"):
        browse_profiles(profiles, manifest, page)
    again = BrowseOptions(overwrite=True, sample=1)
    browse_profiles(profiles, manifest, page, again)
    assert len(users_of(page)["ids"]) == 1
    for name in ("mine.txt", "files/mine.js", "index.html"):
        kept = (page / name).read_bytes() if (page / name).exists() else None
        (page / name).write_text("mine")
        with pytest.raises(OutputError, match=f"holds {name}, which is not a file of a page"):
            browse_profiles(profiles, manifest, page, again)
        assert (page / name).read_text() == "mine"
        (page / name).unlink() if kept is None else (page / name).write_bytes(kept)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("lost", ["files", "index.html"])
def test_an_earlier_page_comes_back_if_it_cannot_be_replaced(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path, lost: str
) -> None:
    page = browse_profiles(*texts(), tmp_path / "page").page.parent
    before = {path: path.read_bytes() for path in page.rglob("*") if path.is_file()}
    with pytest.raises(WriteError), new_folder(page, overwrite=True) as unfinished:
        assert unfinished.parent == page, "on the same file system, even if `page` is a mount point"
        (unfinished / "index.html").write_bytes(b"")
        (unfinished / lost).rename(tmp_path / "lost")
    assert {path: path.read_bytes() for path in page.rglob("*") if path.is_file()} == before


def test_a_page_is_never_written_over_what_it_is_made_of(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    for folder, words in (
        (tmp_path, "holds the manifest"),
        (profiles, "is the profiles"),
        (tmp_path / "no" / "page", "does not exist; make it first"),
    ):
        with pytest.raises(OutputError, match=words):
            browse_profiles(profiles, manifest, folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; pass a folder for the page"):
        browse_profiles(profiles, manifest, tmp_path / "file")


def test_what_cannot_be_shown_is_said_in_one_sentence(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    for options, words in (
        (BrowseOptions(mistakes=2), "`mistakes` needs labels to compare with"),
        (BrowseOptions(users=("nobody",)), "`users` names 'nobody', who has no profile"),
        (
            BrowseOptions(labels=str(manifest)),
            "any trait .* that has labels of these",
        ),
    ):
        with pytest.raises((OptionError, PredictionsError), match=words):
            browse_profiles(profiles, manifest, tmp_path / "page", options)
    other = pl.DataFrame({"user_id": ["x"], "texts": [["a"]]})
    other.write_parquet(tmp_path / "other.parquet")
    with pytest.raises(PredictionsError, match=r"has no user of .*other\.parquet"):
        browse_profiles(profiles, tmp_path / "other.parquet", tmp_path / "page")
    with pytest.raises(ManifestError, match="has no column"):
        pl.DataFrame({"user_id": ["x"]}).write_parquet(tmp_path / "none.parquet")
        browse_profiles(profiles, tmp_path / "none.parquet", tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_labels_of_other_users_and_the_manifest_as_profiles_are_refused(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    others = {"user_id": ["x"], "gender": ["male"], "images": [["x.png"]]}
    pl.DataFrame(others).write_parquet(tmp_path / "others.parquet")
    options = BrowseOptions(labels=str(tmp_path / "others.parquet"))
    with pytest.raises(ManifestError, match=r"others\.parquet has none of the users in"):
        browse_profiles(profiles, manifest, tmp_path / "page", options)
    with pytest.raises(PredictionsError, match="is the manifest itself, whose labels are no"):
        browse_profiles(manifest, manifest, tmp_path / "page")
    advice = "swapped; give the profiles first, and the manifest as `manifest`"
    with pytest.raises(ManifestError, match=advice):
        browse_profiles(manifest, profiles, tmp_path / "page")


def test_a_wall_of_missing_images_comes_with_the_cause(made: Made, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    manifest = elsewhere / "manifest.parquet"
    manifest.write_bytes(made.manifest.read_bytes())
    summary = browse_profiles(made.profiles, manifest, tmp_path / "page")
    assert summary.images == 0
    assert "not one image is usable" in summary.notes[-1]
    assert "`image_root`" in summary.notes[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample": 30_000}, "`sample` is 30,000; it must be from 0 to 20,000"),
        ({"sample": 0}, "no user is chosen"),
        ({"anonymous": True, "texts": True}, "leave one of the two out"),
        ({"thumbnail_side": 8}, "must be from 16 to 512 pixels"),
    ],
)
def test_options_that_make_no_page_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        BrowseOptions(**options)


def test_the_command_says_where_the_page_is(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profiles, manifest = texts()
    command = ["browse", str(profiles), "--manifest", str(manifest), "-o", str(tmp_path / "page")]
    assert main(command) == 0
    assert capsys.readouterr().err.endswith(f"{tmp_path}/page/index.html\n")
    assert main([*command, "--mistakes", "3", "--overwrite"]) == 2
    assert "--mistakes needs labels" in capsys.readouterr().err


@pytest.mark.slow
def test_a_page_is_made_of_profiles_and_images_in_a_store(
    made: Made, store: pafs.FileSystem, tmp_path: Path
) -> None:
    for path in made.folder.iterdir():
        if path.is_file():
            with store.open_output_stream(f"dumps/b/{path.name}") as file:
                file.write(path.read_bytes())
    sources = "s3://dumps/b/profiles.parquet", "s3://dumps/b/manifest.parquet"
    summary = browse_profiles(*sources, tmp_path / "page", BrowseOptions(texts=True))
    assert (summary.users, summary.images) == (made.summary.users, made.summary.images)
    assert users_of(tmp_path / "page") == users_of(made.page)
