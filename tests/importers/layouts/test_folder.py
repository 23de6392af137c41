"""`folder`: a folder per user becomes a row per user, and labels come from a table."""

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.importers.run import ImportOptions, import_dump

Put = Callable[[Path], Path]
Listed = Callable[[Path], list[tuple[str, str, int | None]]]


@pytest.fixture
def crawl(tmp_path: Path, put_image: Put) -> Path:
    """Make a crawl: Ada has three images, Bob has one, and nothing was found of Cy."""
    for name in ("10.jpg", "2.jpg", "1.jpg:large"):
        put_image(tmp_path / "crawl" / "ada" / name)
    put_image(tmp_path / "crawl" / "bob" / "photo")
    (tmp_path / "crawl" / "cy").mkdir()
    return tmp_path / "crawl"


def test_a_folder_per_user_becomes_a_row_per_user(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    summary = import_dump("folder", crawl, tmp_path / "m.parquet")
    rows = pl.read_parquet(tmp_path / "m.parquet").rows()
    assert rows == [
        ("ada", ["crawl/ada/1.jpg:large", "crawl/ada/2.jpg", "crawl/ada/10.jpg"]),
        ("bob", ["crawl/bob/photo"]),
        ("cy", []),
    ]
    assert (summary.users, summary.images, summary.image_root) == (3, 4, None)
    assert listed(tmp_path / "m.parquet") == []


def test_images_outside_the_manifests_folder_need_the_image_root_that_is_named(
    crawl: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    summary = import_dump("folder", crawl, tmp_path / "elsewhere" / "m.parquet")
    assert summary.image_root == crawl
    first = pl.read_parquet(tmp_path / "elsewhere" / "m.parquet")["images"][0][0]
    assert (crawl / first).is_file()


def test_files_that_are_not_named_like_images_are_listed(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    (crawl / "readme.txt").write_text("about this crawl")
    (crawl / "stray.jpg").write_bytes(b"")
    (crawl / "ada" / "profile.json").write_text("{}")
    (crawl / "ada" / "old").mkdir()
    (crawl / "ada" / ".DS_Store").write_bytes(b"")
    (crawl / "bob" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    summary = import_dump("folder", crawl, tmp_path / "m.parquet")
    assert summary.images == 4
    assert summary.left_out == {"files outside the users' folders": 1}
    assert sorted(reason for reason, _, _ in listed(tmp_path / "m.parquet")) == [
        "bad_name",
        "not_an_image",
        "not_an_image",
        "not_an_image",
    ]


def test_a_manifest_inside_the_dump_is_not_listed_when_it_is_made_again(
    crawl: Path, listed: Listed
) -> None:
    for _ in range(2):
        import_dump("folder", crawl, crawl / "m.parquet", ImportOptions(overwrite=True))
        assert listed(crawl / "m.parquet") == []
        assert pl.read_parquet(crawl / "m.parquet")["images"][1].to_list() == ["bob/photo"]


def test_labels_from_a_table_are_joined_by_user(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("user_id,gender,location\nbob,male,\nada,female,north\neve,female,south\n")
    import_dump("folder", crawl, tmp_path / "m.parquet", ImportOptions(labels=labels))
    table = pl.read_parquet(tmp_path / "m.parquet")
    assert table["gender"].to_list() == ["female", "male", None]
    assert table["location"].to_list() == ["north", None, None]
    # Eve has labels but no folder.
    assert listed(tmp_path / "m.parquet") == [("no_such_user", "labels.csv", 3)]


def test_integer_user_ids_in_a_parquet_table_of_labels_match(
    tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / "crawl" / "12" / "1.jpg")
    pl.DataFrame({"user_id": [12], "gender": ["female"]}).write_parquet(tmp_path / "l.parquet")
    options = ImportOptions(labels=tmp_path / "l.parquet")
    import_dump("folder", tmp_path / "crawl", tmp_path / "m.parquet", options)
    assert pl.read_parquet(tmp_path / "m.parquet")["gender"].to_list() == ["female"]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("user,gender\nada,female\n", "has no column 'user_id'; it has user, gender"),
        ("user_id\nada\n", "no column other than 'user_id'; add one per trait"),
        ("user_id,images\nada,x\n", "no label can be called 'images'; rename the column"),
        ("user_id,gender\nada,f\nada,m\n", "has user 'ada' twice; keep one row per user"),
        ("", "cannot be read as CSV or Parquet"),
    ],
)
def test_a_malformed_table_of_labels_is_refused(
    crawl: Path, tmp_path: Path, table: str, sentence: str
) -> None:
    (tmp_path / "labels.csv").write_text(table)
    options = ImportOptions(labels=tmp_path / "labels.csv")
    with pytest.raises(OptionError, match=sentence):
        import_dump("folder", crawl, tmp_path / "m.parquet", options)
    assert not (tmp_path / "m.parquet").exists()


def test_users_with_too_few_images_are_skipped_and_listed(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    options = ImportOptions(min_images=1, max_images=2)
    summary = import_dump("folder", crawl, tmp_path / "m.parquet", options)
    table = pl.read_parquet(tmp_path / "m.parquet")
    assert table["images"].list.len().to_list() == [2, 1]
    assert listed(tmp_path / "m.parquet") == [("too_few_images", "cy", None)]
    assert summary.left_out == {"images beyond the first 2 per user": 1}


def test_a_second_import_removes_the_list_of_the_first(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    import_dump("folder", crawl, tmp_path / "m.parquet", ImportOptions(min_images=1))
    assert listed(tmp_path / "m.parquet")
    import_dump("folder", crawl, tmp_path / "m.parquet", ImportOptions(overwrite=True))
    assert not listed(tmp_path / "m.parquet")


def test_embedded_images_no_longer_need_their_folder(
    crawl: Path, tmp_path: Path, listed: Listed
) -> None:
    (crawl / "bob" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    contents = [(crawl / "ada" / name).read_bytes() for name in ("1.jpg:large", "2.jpg", "10.jpg")]
    import_dump("folder", crawl, f"{tmp_path}/m/", ImportOptions(embed=True))
    users = [user for batch in Manifest.open(tmp_path / "m").shards(10) for user in batch.users]
    assert [ref.data for ref in users[0].images] == contents
    assert [ref.path for ref in users[0].images] == ["ada/1.jpg:large", "ada/2.jpg", "ada/10.jpg"]
    # An image that cannot be read keeps its path, so that `predict` says why.
    assert users[1].images[0].path == "bob/gone.jpg"
    assert users[1].images[0].data is None
    assert listed(tmp_path / "m") == [("not_embedded", "gone.jpg", None)]


def test_embedded_images_go_to_several_files(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.importers.writing._BYTES_PER_GROUP", 1)
    monkeypatch.setattr("tweetprofile.importers.writing._BYTES_PER_FILE", 1)
    import_dump("folder", crawl, f"{tmp_path}/m/", ImportOptions(embed=True))
    manifest = Manifest.open(tmp_path / "m")
    assert len(manifest.files) == 3
    assert manifest.count_users() == 3


@pytest.mark.parametrize(("out", "embed"), [("m.parquet", True), ("m/", False)])
def test_only_embedded_images_are_written_to_a_folder(
    crawl: Path, tmp_path: Path, out: str, *, embed: bool
) -> None:
    with pytest.raises(OutputError, match="with `embed` the manifest is a folder"):
        import_dump("folder", crawl, f"{tmp_path}/{out}", ImportOptions(embed=embed))


def test_of_two_files_that_exist_the_manifest_is_named_and_nothing_is_left(
    crawl: Path, tmp_path: Path
) -> None:
    """People gave the name of the manifest; that of the list is derived from it."""
    import_dump("folder", crawl, tmp_path / "m.parquet")
    (tmp_path / "m.parquet.skipped.csv").write_text("of somebody")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"m\.parquet exists"):
        import_dump("folder", crawl, tmp_path / "m.parquet")
    with pytest.raises(OutputError, match=r"m\.parquet\.skipped\.csv exists"):
        import_dump("folder", crawl, tmp_path / "m.parquet", ImportOptions(overwrite=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_existing_manifest_is_not_replaced_without_overwrite(
    crawl: Path, tmp_path: Path
) -> None:
    import_dump("folder", crawl, tmp_path / "m.parquet")
    before = (tmp_path / "m.parquet").stat()
    with pytest.raises(OutputError, match="exists; choose another name or pass `overwrite=True`"):
        import_dump("folder", crawl, tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet").stat() == before


def test_a_folder_with_foreign_files_is_never_replaced(crawl: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"holds thesis\.tex, which is not an imported manifest"):
        import_dump("folder", crawl, f"{tmp_path}/m/", ImportOptions(embed=True, overwrite=True))
    assert (tmp_path / "m" / "thesis.tex").exists()


def test_a_folder_without_users_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="contains no folder of a user"):
        import_dump("folder", tmp_path / "empty", tmp_path / "m.parquet")
    assert not (tmp_path / "m.parquet").exists()
    with pytest.raises(OptionError, match="nowhere is not a folder"):
        import_dump("folder", tmp_path / "nowhere", tmp_path / "m.parquet")


# --- with a metadata file -----------------------------------------------------------------------


@pytest.fixture
def image_folder(tmp_path: Path, put_image: Put) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put_image(tmp_path / "hf" / "images" / name)
    return tmp_path / "hf"


EXPECTED = [
    ("ada", ["hf/images/a.jpg", "hf/images/b.jpg"], "female"),
    ("bob", ["hf/images/c.jpg"], None),
]


def test_an_image_folder_is_read_from_json_lines(
    image_folder: Path, tmp_path: Path, listed: Listed, write_lines: Callable[..., Path]
) -> None:
    write_lines(
        image_folder / "metadata.jsonl",
        {"user_id": "ada", "file_names": ["images/a.jpg", "images/b.jpg"], "gender": "female"},
        '{"user_id": "eve", "file_na',
        {"file_names": ["images/a.jpg"]},
        {"user_id": "bob", "file_names": ["images/c.jpg", "images/d.jpg", "../../secret.jpg"]},
        {"user_id": "eve", "file_names": 3},
        {"user_id": "\ud800", "file_names": ["images/a.jpg"]},
        {"user_id": "dan", "file_names": ["images/\ud800.jpg"]},
    )
    import_dump("folder", image_folder, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == [
        *EXPECTED,
        ("eve", [], None),
        ("dan", [], None),
    ]
    assert sorted(listed(tmp_path / "m.parquet"), key=lambda row: row[2] or 0) == [
        ("malformed", "metadata.jsonl", 2),
        ("missing_key", "metadata.jsonl", 3),
        ("missing_file", "metadata.jsonl", 4),
        ("outside", "metadata.jsonl", 4),
        ("malformed", "metadata.jsonl", 5),
        ("bad_name", "metadata.jsonl", 6),
        ("bad_name", "metadata.jsonl", 7),
    ]


def test_an_image_folder_is_read_from_csv_with_a_row_per_image(
    image_folder: Path, tmp_path: Path, listed: Listed
) -> None:
    (image_folder / "metadata.csv").write_text(
        "file_name,user_id,gender\nimages/a.jpg,ada,female\nimages/b.jpg,ada,female\n"
        "images/a.jpg\nimages/c.jpg,bob,\n"
    )
    import_dump("folder", image_folder, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == EXPECTED
    assert listed(tmp_path / "m.parquet") == [("malformed", "metadata.csv", 4)]


def test_an_image_folder_is_read_from_csv_with_lists(image_folder: Path, tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "user_id": ["ada", "bob"],
            "photo_file_names": ['["images/a.jpg", "images/b.jpg"]', '["images/c.jpg"]'],
            "gender": ["female", None],
        }
    ).write_csv(image_folder / "metadata.csv")
    import_dump("folder", image_folder, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == EXPECTED


def test_an_image_folder_is_read_from_parquet(image_folder: Path, tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "user_id": ["ada", "bob"],
            "photos_file_names": [["images/a.jpg", "images/b.jpg"], ["images/c.jpg"]],
            "gender": ["female", None],
        }
    ).write_parquet(image_folder / "metadata.parquet")
    import_dump("folder", image_folder, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == EXPECTED


def test_an_image_folder_without_the_required_columns_is_refused(
    image_folder: Path, tmp_path: Path
) -> None:
    (image_folder / "metadata.csv").write_text("name,gender\nimages/a.jpg,female\n")
    with pytest.raises(OptionError, match="needs the columns 'user_id' and 'file_names'"):
        import_dump("folder", image_folder, tmp_path / "m.parquet")
