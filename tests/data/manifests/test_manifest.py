"""A manifest gives the same users in every form, all of them, in its own order."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.files.storage import canonical
from tweetprofile.data.manifests.forms import Form
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import ManifestError

IDS = ["zoe", "ann", "bob", "eve"]
PATHS: list[list[str | None] | None] = [["z/1.jpg", "z/2.jpg"], [], None, ["e.jpg", None]]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(file: Path, columns: pa.Table | dict[str, Any], rows_per_group: int = 1000) -> Path:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=rows_per_group)
    return file


def read(source: Path | str, users_per_shard: int = 1000) -> list[UserImages]:
    shards = Manifest.open(source).shards(users_per_shard)
    return [user for shard in shards for user in shard.users]


def user(user_id: str | int, *paths: str | None) -> UserImages:
    return UserImages(user_id, tuple(ImageRef(path) for path in paths))


def numbered(users: int, first: int = 0) -> dict[str, Any]:
    """Return users named by number, with as many images as the last digit of the number."""
    ids = list(range(first, first + users))
    return {"user_id": ids, "images": pa.array([["x.jpg"] * (i % 10) for i in ids], STRINGS)}


STRINGS = pa.list_(pa.string())
USERS = [user("zoe", "z/1.jpg", "z/2.jpg"), user("ann"), user("bob"), user("eve", "e.jpg", None)]


# -- The four forms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        STRINGS,
        pa.large_list(pa.large_string()),
        pa.list_(pa.string_view()),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
    ],
    ids=str,
)
def test_lists_of_paths_of_any_string_type(tmp_path: Path, kind: pa.DataType) -> None:
    file = write(tmp_path / "m.parquet", {"user_id": IDS, "images": pa.array(PATHS, kind)})
    assert Manifest.open(file).form is Form.PATHS
    assert read(file) == USERS


def test_lists_of_fixed_size_with_null_lists_among_them(tmp_path: Path) -> None:
    lists = pa.array([["a", "b"], None, [None, "d"], None], pa.list_(pa.string(), 2))
    file = write(tmp_path / "m.parquet", {"user_id": IDS, "images": lists})
    assert read(file) == [user("zoe", "a", "b"), user("ann"), user("bob", None, "d"), user("eve")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_lists_of_encoded_images(tmp_path: Path, kind: pa.DataType) -> None:
    lists = pa.array([[b"one", None], None, [], [b"two"]], pa.list_(kind))
    file = write(tmp_path / "m.parquet", {"user_id": IDS, "images": lists})
    assert Manifest.open(file).form is Form.BYTES
    images = [one.images for one in read(file)]
    assert images == [(ImageRef(None, b"one"), ImageRef()), (), (), (ImageRef(None, b"two"),)]


def test_hugging_face_images(tmp_path: Path) -> None:
    given = [{"bytes": b"one", "path": None}, None, {"bytes": None, "path": "p.jpg"}]
    lists = pa.array([given, None, [], [{"bytes": b"two", "path": "q.jpg"}]], pa.list_(IMAGE))
    file = write(tmp_path / "m.parquet", {"user_id": IDS, "images": lists})
    assert Manifest.open(file).form is Form.HUGGING_FACE
    assert [one.images for one in read(file)] == [
        (ImageRef(None, b"one"), ImageRef(), ImageRef("p.jpg")),
        (),
        (),
        (ImageRef("q.jpg", b"two"),),
    ]


@pytest.mark.parametrize(
    ("images", "refs"),
    [
        (pa.array(["a", "b", None, "c"]), [ImageRef("a"), ImageRef("b"), ImageRef("c")]),
        (
            pa.array(["a", "b", None, "c"], pa.string_view()),
            [ImageRef("a"), ImageRef("b"), ImageRef("c")],
        ),
        (
            pa.array(["a", "b", None, "c"]).dictionary_encode(),
            [ImageRef("a"), ImageRef("b"), ImageRef("c")],
        ),
        (
            pa.array([b"a", b"b", None, b"c"]),
            [ImageRef(None, b"a"), ImageRef(None, b"b"), ImageRef(None, b"c")],
        ),
        (
            pa.array(
                [
                    {"bytes": b"a", "path": "a"},
                    {"bytes": b"b", "path": None},
                    None,
                    {"bytes": None, "path": "c"},
                ],
                IMAGE,
            ),
            [ImageRef("a", b"a"), ImageRef(None, b"b"), ImageRef("c")],
        ),
    ],
    ids=["string", "string_view", "dictionary", "binary", "struct"],
)
def test_the_long_form_joins_a_users_rows_and_reads_null_as_no_image(
    tmp_path: Path, images: pa.Array, refs: list[ImageRef]
) -> None:
    file = write(tmp_path / "m.parquet", {"user_id": ["zoe", "zoe", "ann", "bob"], "image": images})
    manifest = Manifest.open(file)
    assert manifest.form is Form.LONG
    assert manifest.count_users() == 3
    assert read(file) == [
        UserImages("zoe", tuple(refs[:2])),
        UserImages("ann", ()),
        UserImages("bob", tuple(refs[2:])),
    ]


@pytest.mark.parametrize(
    ("column", "values"), [("images", pa.array([[], None, [], []])), ("image", pa.nulls(4))]
)
def test_a_column_of_nulls_gives_users_without_images(
    tmp_path: Path, column: str, values: pa.Array
) -> None:
    file = write(tmp_path / "m.parquet", {"user_id": IDS, column: values})
    assert read(file) == [user("zoe"), user("ann"), user("bob"), user("eve")]


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(IDS),
        pa.array(IDS, pa.large_string()),
        pa.array(IDS, pa.string_view()),
        pa.array(IDS).dictionary_encode(),
    ],
    ids=lambda ids: str(ids.type),
)
@pytest.mark.parametrize("column", ["images", "image"])
def test_ids_may_be_strings_of_any_type(tmp_path: Path, ids: pa.Array, column: str) -> None:
    images = [["a"]] * 4 if column == "images" else ["a"] * 4
    file = write(tmp_path / "m.parquet", {"user_id": ids, column: images})
    assert Manifest.open(file).count_users() == 4
    assert read(file) == [user(name, "a") for name in IDS]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()], ids=str)
def test_ids_may_be_integers_and_keep_their_type(tmp_path: Path, kind: pa.DataType) -> None:
    file = write(tmp_path / "m.parquet", {"user_id": pa.array([7, 5], kind), "images": [["a"], []]})
    assert Manifest.open(file).user_id_type == kind
    assert read(file) == [user(7, "a"), user(5)]


def test_files_written_by_polars_are_read(tmp_path: Path) -> None:
    file = tmp_path / "m.parquet"
    labels = pl.Series(["x", "y", None, "x"], dtype=pl.Categorical)
    pl.DataFrame({"user_id": IDS, "images": PATHS, "label": labels}).write_parquet(file)
    (shard,) = Manifest.open(file).shards(10, ["label"])
    assert shard.users == USERS
    assert shard.table["label"].to_pylist() == ["x", "y", None, "x"]


def test_files_written_by_pandas_are_read(tmp_path: Path) -> None:
    """pandas writes the index of a data frame as one more column."""
    table = pa.table({"user_id": IDS, "images": pa.array(PATHS), "__index_level_0__": [3, 1, 2, 0]})
    described = table.replace_schema_metadata(
        {"pandas": '{"index_columns": ["__index_level_0__"]}'}
    )
    assert read(write(tmp_path / "m.parquet", described)) == USERS


def test_columns_may_be_in_any_order_among_others(tmp_path: Path) -> None:
    columns = {"extra": [1, 2, 3, 4], "images": PATHS, "images_seen": [0] * 4, "user_id": IDS}
    assert read(write(tmp_path / "m.parquet", columns)) == USERS


# -- Files, folders, globs --------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", ["", "*.parquet", "part-[0-9].parquet", "../dump/part-?.parquet"]
)
def test_a_folder_or_a_glob_reads_its_files_in_order_of_name(tmp_path: Path, source: str) -> None:
    for part in (2, 0, 1):
        write(tmp_path / f"dump/part-{part}.parquet", numbered(2, first=10 * part))
    manifest = Manifest.open(f"{tmp_path}/dump/{source}")
    assert [one.user_id for shard in manifest.shards(4) for one in shard.users] == [
        0, 1, 10, 11, 20, 21,
    ]  # fmt: skip
    assert canonical(manifest.folder) == str(tmp_path / "dump")


@pytest.mark.parametrize("pattern", ["*/m.parquet", "**/*.parquet", "*/*", "[ab]/m.*"])
def test_a_glob_may_span_folders_and_its_fixed_part_is_the_image_root(
    tmp_path: Path, pattern: str
) -> None:
    for part, name in enumerate("ab"):
        write(tmp_path / name / "m.parquet", numbered(1, first=part))
    manifest = Manifest.open(f"{tmp_path}/{pattern}")
    assert manifest.files == (tmp_path / "a/m.parquet", tmp_path / "b/m.parquet")
    assert manifest.folder == tmp_path


def test_a_relative_glob_is_read_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a/m.parquet", numbered(3))
    monkeypatch.chdir(tmp_path)
    assert len(read("*/m.parquet")) == 3


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "m[1].parquet", numbered(3)))) == 3


@pytest.mark.parametrize("source", ["gone.parquet", "*.parquet", "."])
def test_a_missing_manifest_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError) as refusal:
        Manifest.open(source)
    assert str(refusal.value).startswith(f"{source} ")


def test_a_manifest_on_a_web_server_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"https://server/m\.parquet: only s3:// and gs://"):
        Manifest.open("https://server/m.parquet")


# -- Several files that differ ----------------------------------------------------------------


def write_two(folder: Path, first: dict[str, Any], second: dict[str, Any]) -> Path:
    write(folder / "0.parquet", first)
    write(folder / "1.parquet", second)
    return folder


def test_files_may_differ_in_the_width_of_a_type(tmp_path: Path) -> None:
    folder = write_two(
        tmp_path,
        {
            "user_id": pa.array([1, 2], pa.int32()),
            "images": [["a"], ["b"]],
            "label": ["x", "y"],
        },
        {
            "user_id": pa.array([3, 4], pa.int64()),
            "images": pa.array([["c"], []], pa.large_list(pa.large_string())),
            "label": pa.array(["z", None]).dictionary_encode(),
        },
    )
    first, second = Manifest.open(folder).shards(3, ["label"])
    assert first.users + second.users == [user(1, "a"), user(2, "b"), user(3, "c"), user(4)]
    assert first.table["label"].to_pylist() == ["x", "y", "z"]
    assert first.table.schema == second.table.schema


def test_labels_of_different_dictionaries_are_compared_by_their_text(tmp_path: Path) -> None:
    folder = write_two(
        tmp_path,
        numbered(2) | {"label": pa.array(["x", "y"]).dictionary_encode()},
        numbered(2, first=2) | {"label": pa.array(["y", "z"]).dictionary_encode()},
    )
    (shard,) = Manifest.open(folder).shards(10, ["label"])
    assert shard.table["label"].to_pylist() == ["x", "y", "y", "z"]


def test_a_file_of_users_without_images_can_be_combined_with_any_other(tmp_path: Path) -> None:
    folder = write_two(
        tmp_path,
        {"user_id": [1], "images": pa.array([[]])},
        {"user_id": [2], "images": [[b"encoded"]]},
    )
    assert read(folder) == [user(1), UserImages(2, (ImageRef(None, b"encoded"),))]


def test_long_files_may_differ_in_how_they_give_images(tmp_path: Path) -> None:
    folder = write_two(
        tmp_path,
        {"user_id": [1, 2], "image": ["a", None]},
        {"user_id": [2, 2], "image": [None, b"encoded"]},
    )
    assert read(folder) == [user(1, "a"), UserImages(2, (ImageRef(None, b"encoded"),))]


def test_long_files_and_others_are_not_mixed(tmp_path: Path) -> None:
    folder = write_two(tmp_path, numbered(1), {"user_id": [2], "image": ["a"]})
    with pytest.raises(ManifestError, match=r"1\.parquet has the form 'long' but .*0\.parquet has"):
        Manifest.open(folder)


@pytest.mark.parametrize("column", ["user_id", "label"])
def test_files_with_incompatible_types_are_an_error_that_names_both(
    tmp_path: Path, column: str
) -> None:
    other: dict[str, Any] = {"user_id": [3], "images": [["a"]], "label": [5]} | {column: ["text"]}
    folder = write_two(tmp_path, {"user_id": [1], "images": [["a"]], "label": [7]}, other)
    with pytest.raises(ManifestError, match=rf"1\.parquet: '{column}' is string .*0\.parquet"):
        list(Manifest.open(folder).shards(10, ["label"]))


# -- Shards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("users_per_shard", [1, 3, 7, 10, 25, 26, 1000])
@pytest.mark.parametrize("rows_per_group", [1, 4, 1000])
def test_all_shards_except_the_last_are_full_and_rows_keep_their_order(
    tmp_path: Path, users_per_shard: int, rows_per_group: int
) -> None:
    for part, count in enumerate((13, 1, 11)):
        file = tmp_path / f"{part}.parquet"
        write(file, numbered(count, first=100 * part), rows_per_group)
    shards = list(Manifest.open(tmp_path).shards(users_per_shard))
    sizes = [len(shard.table) for shard in shards]
    assert sizes[:-1] == [users_per_shard] * (math.ceil(25 / users_per_shard) - 1)
    assert sum(sizes) == 25
    assert [shard.shard for shard in shards] == list(range(len(shards)))
    assert [shard.first for shard in shards] == [sum(sizes[:i]) for i in range(len(sizes))]
    users = [one for shard in shards for one in shard.users]
    assert [one.user_id for one in users] == [*range(13), 100, *range(200, 211)]
    assert all(len(one.images) == int(one.user_id) % 10 for one in users)


@pytest.mark.parametrize("users_per_shard", [1, 2, 3, 100])
@pytest.mark.parametrize("rows_per_group", [1, 3, 1000])
def test_a_long_user_may_span_batches_row_groups_and_files(
    tmp_path: Path, users_per_shard: int, rows_per_group: int
) -> None:
    rows = [("a", 1), ("b", 9), ("c", 1), ("d", 0), ("e", 4)]
    ids = [name for name, images in rows for _ in range(max(images, 1))]
    images = [f"{n}.jpg" if name != "d" else None for n, name in enumerate(ids)]
    labels = pa.array([f"label of {name}" for name in ids]).dictionary_encode()
    table = pa.table({"user_id": ids, "image": images, "label": labels})
    for part, start in enumerate(range(0, len(table), 5)):
        write(tmp_path / f"{part}.parquet", table.slice(start, 5), rows_per_group)
    manifest = Manifest.open(tmp_path)
    assert manifest.count_users() == 5
    shards = list(manifest.shards(users_per_shard, ["label"]))
    assert [len(shard.table) for shard in shards[:-1]] == [users_per_shard] * (len(shards) - 1)
    users = [one for shard in shards for one in shard.users]
    assert [(one.user_id, len(one.images)) for one in users] == rows
    assert [ref.path for one in users for ref in one.images] == [path for path in images if path]
    kept = [label for shard in shards for label in shard.table["label"].to_pylist()]
    assert kept == [f"label of {name}" for name, _ in rows]


def test_requested_columns_are_kept_unchanged(tmp_path: Path) -> None:
    extra = pa.array([{"n": 1}, None, {"n": 3}])
    file = write(tmp_path / "m.parquet", numbered(3) | {"extra": extra, "other": [1, 2, 3]})
    (shard,) = Manifest.open(file).shards(10, ["extra"])
    assert shard.table.column_names == ["user_id", "images", "extra", "images_given"]
    assert shard.table["extra"].to_pylist() == [{"n": 1}, None, {"n": 3}]


def test_a_user_in_two_rows_is_refused_with_both_rows(tmp_path: Path) -> None:
    ids = ["zoe", "ann", "zoe", "bob", "bob"]
    file = write(tmp_path / "m.parquet", {"user_id": ids, "images": [["a"]] * 5})
    sentence = "user 'zoe' occurs in rows 0 and 2, and so does another user; keep one row per"
    with pytest.raises(ManifestError, match=sentence):
        Manifest.open(file).count_users()


@pytest.mark.parametrize(("column", "kind"), [("images", STRINGS), ("image", pa.string())])
def test_an_empty_manifest_has_no_users_and_no_shards(
    tmp_path: Path, column: str, kind: pa.DataType
) -> None:
    columns = {"user_id": pa.array([], pa.string()), column: pa.array([], kind)}
    manifest = Manifest.open(write(tmp_path / "m.parquet", columns))
    assert manifest.count_users() == 0
    assert list(manifest.shards(10)) == []


# -- Counting ---------------------------------------------------------------------------------


def test_counting_finds_every_user_of_every_file(tmp_path: Path) -> None:
    for part, users in ((0, 70_000), (70_000, 0), (80_000, 5)):
        write(
            tmp_path / f"{part}.parquet",
            {"user_id": range(part, part + users), "images": [[""]] * users}
            if users
            else {"user_id": pa.array([], pa.int64()), "images": pa.array([], STRINGS)},
        )
    assert Manifest.open(tmp_path).count_users() == 70_005


@pytest.mark.parametrize("column", ["images", "image"])
def test_a_null_id_is_an_error_that_names_the_row(tmp_path: Path, column: str) -> None:
    images = [["a"]] * 3 if column == "images" else ["a"] * 3
    write(tmp_path / "0.parquet", {"user_id": ["a", "b", "c"], column: images})
    write(tmp_path / "1.parquet", {"user_id": ["c", None, "e"], column: images})
    with pytest.raises(ManifestError, match="row 4 has no user_id"):
        Manifest.open(tmp_path).count_users()


@pytest.mark.parametrize("ids", [["a", "b", "a"], ["a", "a", "b", "b", "c", "a"]])
@pytest.mark.parametrize("rows_per_file", [1, 2, 10])
def test_long_rows_of_a_user_that_are_not_adjacent_are_an_error_that_names_the_user(
    tmp_path: Path, ids: Sequence[str], rows_per_file: int
) -> None:
    table = pa.table({"user_id": ids, "image": ["x"] * len(ids)})
    for start in range(0, len(ids), rows_per_file):
        write(tmp_path / f"{start}.parquet", table.slice(start, rows_per_file))
    with pytest.raises(ManifestError, match="rows of user 'a' are not adjacent"):
        Manifest.open(tmp_path).count_users()


# -- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [1], "images": [["a"]]}, r"no column 'user_id' \(it has id, images\)"),
        ({"user_id": [1], "photos": [["a"]]}, "no column 'images' or 'image'"),
        ({"user_id": [1.5], "images": [["a"]]}, "'user_id' is double"),
        ({"user_id": [True], "images": [["a"]]}, "'user_id' is bool"),
        ({"user_id": [b"a"], "images": [["a"]]}, "'user_id' is binary"),
        ({"user_id": [1], "images": ["a"]}, "'images' is string; it must be a list"),
        ({"user_id": [1], "images": [[1]]}, "'images' is list<.*int64>; it must be a list of str"),
        ({"user_id": [1], "images": [[{"bytes": b"a"}]]}, "it must be a list of strings"),
        ({"user_id": [1], "image": [1]}, "'image' is int64; it must be a string"),
        ({"user_id": [1], "image": [["a"]]}, "'image' is list<.*; it must be a string"),
        ({"user_id": [1], "image": [{"path": "a"}]}, "'image' is struct<.*; it must be a string"),
    ],
)
def test_columns_of_no_known_form_are_an_error_that_names_file_and_column(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    file = write(tmp_path / "m.parquet", columns)
    with pytest.raises(ManifestError, match=message) as refusal:
        Manifest.open(file)
    assert str(file) in str(refusal.value)


def test_every_file_is_checked_before_any_is_read(tmp_path: Path) -> None:
    folder = write_two(tmp_path, numbered(1), {"user_id": [1]})
    with pytest.raises(ManifestError, match=r"1\.parquet has no column 'images' or 'image'"):
        Manifest.open(folder)


def test_a_required_column_must_be_in_every_file(tmp_path: Path) -> None:
    folder = write_two(tmp_path, numbered(1) | {"label": ["x"]}, numbered(1))
    manifest = Manifest.open(folder)
    with pytest.raises(ManifestError, match=r"1\.parquet has no column 'label'; it has user_id,"):
        manifest.require_columns(["user_id", "label"])
    with pytest.raises(ManifestError, match=r"0\.parquet has no column 'mood'"):
        next(manifest.shards(10, ["mood"]))


def test_a_column_of_one_file_is_null_for_users_of_the_others(tmp_path: Path) -> None:
    folder = write_two(tmp_path, numbered(1), numbered(1, first=1) | {"label": ["x"]})
    (shard,) = Manifest.open(folder).shards(10, ["label"])
    assert shard.table["label"].to_pylist() == [None, "x"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"user_id,images\n1,a.jpg\n" * 10])
def test_a_file_that_is_not_parquet_is_an_error_that_names_it(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "m.parquet"
    file.write_bytes(content)
    with pytest.raises(ManifestError, match=rf"{file} is not a readable Parquet file"):
        Manifest.open(file)


def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = write(tmp_path / "m.parquet", numbered(100))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ManifestError, match=rf"{file} is not a readable Parquet file"):
        Manifest.open(file)


def test_a_file_with_damaged_pages_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = write(tmp_path / "m.parquet", numbered(10_000), rows_per_group=1000)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle - 2000 : middle + 2000] = bytes(4000)
    file.write_bytes(bytes(content))
    manifest = Manifest.open(file)
    with pytest.raises(ManifestError, match=f"{file} cannot be read") as refusal:
        list(manifest.shards(100))
    assert "\n" not in str(refusal.value)


# -- Fingerprints -----------------------------------------------------------------------------


def test_a_fingerprint_does_not_depend_on_where_the_files_are(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        for part in range(2):
            write(tmp_path / folder / f"{part}.parquet", numbered(20, first=part))
    here, there = (Manifest.open(tmp_path / folder).fingerprint() for folder in ("here", "there"))
    assert here == there
    assert len(here) == 64


@pytest.mark.parametrize(
    "change",
    [numbered(21), numbered(20, first=1), numbered(20) | {"extra": [0] * 20}],
    ids=["a row more", "other ids", "a column more"],
)
def test_a_fingerprint_changes_with_the_rows(tmp_path: Path, change: dict[str, Any]) -> None:
    before = Manifest.open(write(tmp_path / "before.parquet", numbered(20))).fingerprint()
    after = Manifest.open(write(tmp_path / "after.parquet", change)).fingerprint()
    assert before != after


def test_files_of_the_same_size_have_different_fingerprints(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{n}.parquet", {"user_id": [1, n], "images": [[], []]}) for n in (2, 3)
    ]
    assert files[0].stat().st_size == files[1].stat().st_size
    one, other = (Manifest.open(file).fingerprint() for file in files)
    assert one != other


def test_a_fingerprint_changes_when_two_users_swap_their_images(tmp_path: Path) -> None:
    one, other = (
        write(tmp_path / f"{n}.parquet", {"user_id": [1, 2], "images": images})
        for n, images in enumerate([[["a.jpg"], ["b.jpg"]], [["b.jpg"], ["a.jpg"]]])
    )
    assert Manifest.open(one).fingerprint() != Manifest.open(other).fingerprint()


def test_only_the_footer_of_a_very_large_file_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.data.manifests.sources._MOST_HASHED", 0)
    one = Manifest.open(write(tmp_path / "one.parquet", numbered(20)))
    other = Manifest.open(write(tmp_path / "other.parquet", numbered(21)))
    assert one.fingerprint() == Manifest.open(one.source).fingerprint()
    assert one.fingerprint() != other.fingerprint()


def test_a_fingerprint_changes_with_the_order_of_files(tmp_path: Path) -> None:
    for folder, order in (("one", (0, 1)), ("other", (1, 0))):
        for part, first in enumerate(order):
            write(tmp_path / folder / f"{part}.parquet", numbered(20, first=100 * first))
    one, other = (Manifest.open(tmp_path / folder).fingerprint() for folder in ("one", "other"))
    assert one != other


# --- going on in the middle --------------------------------------------------------------------


@pytest.mark.parametrize("form", ["paths", "long"])
@pytest.mark.parametrize("first_shard", range(6))
def test_reading_from_a_later_shard_gives_the_remaining_users(
    tmp_path: Path, form: str, first_shard: int
) -> None:
    for number, users in enumerate((4, 0, 7, 9)):
        ids = [f"{number}-{user}" for user in range(users)]
        table = pa.table(
            {"user_id": pa.array(ids, pa.string()), "images": pa.array([["x"]] * users, STRINGS)}
            if form == "paths"
            else {"user_id": pa.array(ids, pa.string()), "image": pa.array(ids, pa.string())}
        )
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=3)
    manifest = Manifest.open(tmp_path)
    every = list(manifest.batches(4, 3))
    left = list(manifest.batches(4, 3, first_shard=first_shard))
    assert left == [batch for batch in every if batch.shard >= first_shard]


def test_the_remaining_users_are_read_without_earlier_row_groups(tmp_path: Path) -> None:
    file = tmp_path / "m.parquet"
    images = pa.array([[bytes([user]) * 1000] for user in range(8)], pa.list_(pa.binary()))
    table = pa.table({"user_id": range(8), "images": images})
    pq.write_table(table, file, row_group_size=2, compression="none", use_dictionary=False)
    content = file.read_bytes()
    file.write_bytes(b"PAR1" + bytes(2000) + content[2004:])  # no page can be read here any more
    manifest = Manifest.open(file)
    with pytest.raises(ManifestError):
        list(manifest.batches(2, 2))
    (batch, *_) = manifest.batches(2, 2, first_shard=1)
    assert batch.table["user_id"].to_pylist() == [2, 3]


def test_images_beyond_the_limit_are_left_out_and_counted(tmp_path: Path) -> None:
    lists: list[list[str] | None] = [["a", "b", "c"], None, ["d"], ["e", "f"]]
    file = write(tmp_path / "m.parquet", {"user_id": range(4), "images": lists})
    (batch,) = Manifest.open(file).shards(10, max_images=2)
    assert [[ref.path for ref in user.images] for user in batch.users] == [
        ["a", "b"],
        [],
        ["d"],
        ["e", "f"],
    ]
    assert [user.left_out for user in batch.users] == [1, 0, 0, 0]
    assert batch.table["images_given"].to_pylist() == [3, 0, 1, 2]


def test_batches_end_where_shards_end(tmp_path: Path) -> None:
    file = write(tmp_path / "m.parquet", numbered(12))
    batches = Manifest.open(file).batches(users_per_shard=5, users_per_batch=2)
    assert [(batch.shard, batch.first, len(batch)) for batch in batches] == [
        (0, 0, 2),
        (0, 2, 2),
        (0, 4, 1),
        (1, 5, 2),
        (1, 7, 2),
        (1, 9, 1),
        (2, 10, 2),
    ]
