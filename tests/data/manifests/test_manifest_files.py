"""Files of different origins are read as one manifest, or refused with the reason."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, OutputError

STRINGS = pa.list_(pa.string())
SHARED = Path(__file__).resolve().parents[4] / "shared" / "cases"


def write(file: Path, ids: Any, **columns: Any) -> Path:
    """Write a file of users, each with one image that is named after the user."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([[f"{user}.jpg"] for user in ids], STRINGS)
    pq.write_table(pa.table({"user_id": ids, "images": images} | columns), file)
    return file


def users(source: Path | str) -> list[str | int]:
    manifest = Manifest.open(source)
    found = [user.user_id for shard in manifest.shards(2) for user in shard.users]
    assert len(found) == manifest.count_users()
    return found


def column(source: Path, name: str) -> list[Any]:
    return [value for table in Manifest.open(source).columns([name]) for value in
            table[name].to_pylist()]  # fmt: skip


def refusal(source: Path | str) -> str:
    with pytest.raises(ManifestError) as error:
        Manifest.open(source).count_users()
    assert "\n" not in str(error.value)
    return str(error.value)


# --- which files --------------------------------------------------------------------------------


def test_a_folder_is_read_with_all_suffixes_of_parquet_files(tmp_path: Path) -> None:
    names = ["a.parquet", "b.pq", "c.PARQUET", "d.parq", "e.snappy.parquet", "_f.parquet"]
    for name in names:
        write(tmp_path / name, [name])
    assert users(tmp_path) == sorted(names)
    assert Manifest.open(tmp_path).remarks == ()


def test_files_that_only_look_like_parquet_are_named_with_their_count(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ["a"])
    for name in ("b.parquet.gz", "c.pq.bak"):
        (tmp_path / name).touch()
    (remark,) = Manifest.open(tmp_path).remarks
    assert remark.startswith("Not read: 2 files (b.parquet.gz, c.pq.bak) of ")


@pytest.mark.parametrize("source", ["", "/*"])
def test_hidden_files_and_marker_files_of_other_programs_are_ignored(
    tmp_path: Path, source: str
) -> None:
    write(tmp_path / "part-0.parquet", ["a"])
    for name in ("_SUCCESS", "_metadata", ".part-0.parquet.crc", "._part-0.parquet", ".DS_Store"):
        (tmp_path / name).write_bytes(b"no users")
    (tmp_path / "_temporary").mkdir()
    assert users(f"{tmp_path}{source}") == ["a"]


@pytest.mark.parametrize("name", ["run [1]", "run*", "run?", "[a-z]"])
def test_a_folder_whose_name_could_be_a_pattern_is_that_folder(tmp_path: Path, name: str) -> None:
    for folder, user in ((name, "right"), ("run 1", "wrong"), ("runs", "wrong"), ("x", "wrong")):
        write(tmp_path / folder / "part.parquet", [user])
    for source in ("", "/part.parquet", "/*.parquet"):
        assert users(f"{tmp_path / name}{source}") == ["right"]


def test_no_output_becomes_part_of_the_manifest_whatever_its_suffix(tmp_path: Path) -> None:
    write(tmp_path / "m" / "country=de" / "a.pq", ["a"])
    inputs = inputs_of(Manifest.open(tmp_path / "m"), tmp_path / "images")
    for name in ("out.pq", "out.PARQUET", "out.parq", "country=fr/out.parquet"):
        with pytest.raises(OutputError):
            inputs.refuse(tmp_path / "m" / name, name)
    inputs.refuse(tmp_path / "out.pq", "out.pq")


# --- Hive partitions ----------------------------------------------------------------------------


def test_hive_partitions_become_text_columns_and_a_remark_says_so(tmp_path: Path) -> None:
    for country, city, user in (("de", "Bad%20Ems", "a"), ("de", "Ulm", "b"), ("mx", "007", "c")):
        write(tmp_path / f"country={country}" / f"city={city}" / "part.parquet", [user])
    (tmp_path / "country=mx" / "_SUCCESS").touch()
    write(
        tmp_path / "images" / "no-part.parquet", ["x"]
    )  # neither a partition nor part of the manifest
    assert users(tmp_path) == ["a", "b", "c"]
    assert column(tmp_path, "country") == ["de", "de", "mx"]
    assert column(tmp_path, "city") == ["Bad Ems", "Ulm", "007"]
    manifest = Manifest.open(tmp_path)
    assert manifest.remarks == ("Text columns taken from folder names: country, city.",)
    tables = [shard.table for shard in manifest.shards(2, ["city"])]
    assert [table["city"].to_pylist() for table in tables] == [["Bad Ems", "Ulm"], ["007"]]
    assert manifest.schema.field("country").type == pa.string()


@pytest.mark.parametrize("pattern", ["country=*/*.parquet", "**/*.parquet"])
def test_hive_partitions_are_columns_of_a_glob_too(tmp_path: Path, pattern: str) -> None:
    for country in ("de", "mx"):
        write(tmp_path / f"country={country}" / "part.parquet", [country])
    manifest = Manifest.open(f"{tmp_path}/{pattern}")
    assert manifest.plain_field("country").type == pa.string()
    assert column(Path(f"{tmp_path}/{pattern}"), "country") == ["de", "mx"]


def test_partitions_as_arrow_and_polars_write_them_are_read(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a", "b", "c"], "images": pa.array([[]] * 3, STRINGS),
                      "gender": ["f", None, "m"]})  # fmt: skip
    ds.write_dataset(
        table, tmp_path / "arrow", format="parquet",
        partitioning=ds.partitioning(pa.schema([("gender", pa.string())]), flavor="hive"),
    )  # fmt: skip
    frame = pl.DataFrame({"user_id": ["a", "b"], "images": [[""], [""]], "gender": ["f", "m"]})
    frame.lazy().sink_parquet(pl.PartitionBy(tmp_path / "polars", key="gender"))
    for folder, expected in (("arrow", {"a": "f", "b": None, "c": "m"}),
                             ("polars", {"a": "f", "b": "m"})):  # fmt: skip
        found = dict(
            zip(column(tmp_path / folder, "user_id"), column(tmp_path / folder, "gender"),
                strict=True)
        )  # fmt: skip
        assert found == expected


def test_a_manifest_partitioned_by_user_is_read(tmp_path: Path) -> None:
    for user in ("007", "7"):
        table = pa.table({"images": pa.array([[f"{user}.jpg"]], STRINGS)})
        (tmp_path / f"user_id={user}").mkdir()
        pq.write_table(table, tmp_path / f"user_id={user}" / "part.parquet")
    assert users(tmp_path) == ["007", "7"]


def test_another_partition_is_another_manifest(tmp_path: Path) -> None:
    write(tmp_path / "gender=f" / "part.parquet", ["a"])
    before = Manifest.open(tmp_path).fingerprint()
    (tmp_path / "gender=f").rename(tmp_path / "gender=m")
    assert Manifest.open(tmp_path).fingerprint() != before


# --- types that differ --------------------------------------------------------------------------

NOTHING = [pa.nulls(2), pa.nulls(2, pa.float64()), pa.nulls(2, pa.string())]


@pytest.mark.parametrize("nothing", NOTHING, ids=lambda each: str(each.type))
@pytest.mark.parametrize("first", [True, False])
def test_a_column_without_a_value_takes_the_type_of_the_other_files(
    tmp_path: Path, nothing: pa.Array, *, first: bool
) -> None:
    """pandas writes a column that is missing in all rows as null, or as numbers."""
    write(tmp_path / f"{'a' if first else 'z'}.parquet", ["a", "b"], gender=nothing)
    write(tmp_path / "m.parquet", ["c", "d"], gender=["female", "male"])
    expected = [None, None, "female", "male"] if first else ["female", "male", None, None]
    assert column(tmp_path, "gender") == expected
    shards = Manifest.open(tmp_path).shards(3, ["gender"])
    assert [shard.table.schema.field("gender").type for shard in shards] == [pa.string()] * 2


@pytest.mark.parametrize(
    "empty",
    [
        pa.table({"user_id": pa.nulls(0), "images": pa.nulls(0), "gender": pa.nulls(0)}),
        pa.table({"user_id": pa.array([], pa.float64()), "images": pa.array([], pa.string())}),
        pa.table({"index": pa.array([], pa.int64())}),
    ],
    ids=["null types", "other types", "other columns"],
)
def test_a_file_without_rows_does_not_influence_types(tmp_path: Path, empty: pa.Table) -> None:
    pq.write_table(empty, tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", ["x", "y", "z"], gender=["f", "m", "f"])
    assert users(tmp_path) == ["x", "y", "z"]
    assert column(tmp_path, "gender") == ["f", "m", "f"]


def test_a_file_of_nulls_is_refused_for_its_first_row_without_an_id(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ["a", "b"])
    nothing = pa.table({"user_id": pa.nulls(2), "images": pa.nulls(2)})
    pq.write_table(nothing, tmp_path / "b.parquet")
    assert refusal(tmp_path).endswith("row 2 has no user_id; name the user or drop the row.")


def test_a_file_without_any_images_can_be_combined_with_any_other(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["a"], "images": pa.nulls(1)}), tmp_path / "a.parquet")
    images = pa.array([[b"encoded"]], pa.list_(pa.binary()))
    pq.write_table(pa.table({"user_id": ["b"], "images": images}), tmp_path / "b.parquet")
    manifest = Manifest.open(tmp_path)
    assert manifest.carries_bytes
    assert [len(user.images) for shard in manifest.shards(9) for user in shard.users] == [0, 1]


@pytest.mark.parametrize("kind", [
    pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
], ids=str)  # fmt: skip
def test_text_of_any_type_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    other = pa.array(["c", "d"]).cast(kind)
    write(tmp_path / "a.parquet", ["a", "b"], gender=["f", "m"])
    write(tmp_path / "b.parquet", other, gender=other)
    assert users(tmp_path) == ["a", "b", "c", "d"]
    assert column(tmp_path, "gender") == ["f", "m", "c", "d"]


@pytest.mark.parametrize(("one", "other"), [("int32", "int64"), ("uint8", "int16"),
                                            ("int64", "uint32")])  # fmt: skip
def test_whole_numbers_take_the_wider_type(tmp_path: Path, one: str, other: str) -> None:
    write(tmp_path / "a.parquet", pa.array([1, 2], one), age=pa.array([30, 31], one))
    write(tmp_path / "b.parquet", pa.array([3, 127], other), age=pa.array([32, 33], other))
    assert users(tmp_path) == [1, 2, 3, 127]
    assert column(tmp_path, "age") == [30, 31, 32, 33]


def test_ids_that_are_numbers_in_one_file_and_text_in_another_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [7])
    write(tmp_path / "b.parquet", ["007"])
    said = refusal(tmp_path)
    assert f"{tmp_path}/b.parquet: 'user_id' is string where {tmp_path}/a.parquet has int64" in said
    assert "as text, if an id such as 007 is not 7" in said


@pytest.mark.parametrize(
    ("one", "other"), [(["f"], [1]), ([1], ["f"]), ([True], ["true"]), ([b"f"], ["f"])]
)
def test_columns_that_contradict_each_other_are_refused_with_both_files(
    tmp_path: Path, one: list[Any], other: list[Any]
) -> None:
    """Numbers are not converted to text silently: 7 and "007" may or may not be one class."""
    write(tmp_path / "a.parquet", ["a"], gender=pa.nulls(1))
    write(tmp_path / "b.parquet", ["b"], gender=one)
    write(tmp_path / "c.parquet", ["c"], gender=other)
    with pytest.raises(ManifestError, match=r"c\.parquet: 'gender' is .* where .*b\.parquet has"):
        column(tmp_path, "gender")
    assert users(tmp_path) == ["a", "b", "c"]  # the column is not requested


def test_a_column_that_a_file_lacks_is_null_there_and_a_remark_says_so(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ["a"])
    write(tmp_path / "b.parquet", ["b"], gender=["f"])
    assert column(tmp_path, "gender") == [None, "f"]
    said = "Column 'gender' is missing, and read as null, in 1 file (a.parquet)."
    assert Manifest.open(tmp_path).remarks == (said,)


def test_two_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array(["a"]), pa.array(["a"]), pa.array([["a.jpg"]])]
    table = pa.Table.from_arrays(columns, ["user_id", "user_id", "images"])
    pq.write_table(table, tmp_path / "m.parquet")
    assert refusal(tmp_path / "m.parquet").endswith(
        "has two columns called 'user_id'; rename or drop one of them."
    )


# --- in place of a manifest ---------------------------------------------------------------------


def make(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


TABLE = "user_id,file_name\na,0.jpg\n"


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        ({"ada__0_dot_jpg": "", "notes_dot_txt": ""}, "folder"),
        ({"metadata_dot_csv": TABLE, "0_dot_jpg": ""}, "folder"),
        ({"train__metadata_dot_csv": TABLE, "train__0_dot_png": ""}, "folder"),
        ({"tweets_dot_jsonl": "{}", "0_dot_jpg": ""}, "twitter-api"),
        ({"data__account_dot_js": ""}, "twitter-archive"),
    ],
)
def test_a_folder_of_a_dump_is_refused_with_the_command_that_imports_it(
    tmp_path: Path, files: dict[str, str], layout: str
) -> None:
    folder = make(tmp_path / "my dump", **files)
    command = f"`tweetprofile import {layout} '{folder}' -o manifest.parquet`"
    assert refusal(folder) == f"{folder} holds no Parquet file; make a manifest with {command}."


def test_loose_images_must_first_be_sorted_into_folders_of_users(tmp_path: Path) -> None:
    said = refusal(make(tmp_path, a_dot_jpg="", b_dot_JPG=""))
    assert "put the images of each user into a folder named after the user's id" in said


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("metadata.csv", TABLE, "import folder {parent} -o"),
        ("table.csv", TABLE, "name it metadata.csv, put it into the folder of its images"),
        ("table.tsv", "user_id\tgender\n", "import folder IMAGES --labels {file} -o"),
        ("m.csv", "user_id;images\n7;a.jpg\n", "call its column of paths 'file_names'"),
        ("x.csv", "user_id;gender\n", "import folder IMAGES --labels {file} -o"),
        ("t.jsonl", '{"user_id": 7, "file_name": "0.jpg"}\n', "name it metadata.jsonl"),
        ("t.jsonl", '{"data": [{"id": "1"}]}\n', "import twitter-api {file} -o"),
        ("t.json", '[\n {"id": 1}\n]\n', "import twitter-api {file} -o"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_or_tweets_are_refused_with_the_command_that_imports_them(
    tmp_path: Path, name: str, content: str, command: str, encoding: str
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding)
    said = refusal(file)
    assert said.startswith(f"{file} is not a readable Parquet file; ")
    assert command.format(parent=tmp_path, file=file) in said


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may list every folder")
    (tmp_path / "closed").mkdir(mode=0)
    assert "cannot be reached" in refusal(tmp_path / "closed")


# --- the examples that were collected, where they are ---------------------------------------------

there = pytest.mark.skipif(not SHARED.is_dir(), reason="no collection of examples is here")


@there
def test_the_collected_folders_are_read_completely() -> None:
    assert len(users(SHARED / "f_mixedext")) == 6
    labels = column(SHARED / "tr" / "folder", "gender")
    assert (len(labels), labels.count(None)) == (60, 30)


@there
@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("f_pad", "'user_id' is string where"),
        ("dup_cols.parquet", "has two columns called 'user_id'"),
        ("ev_dup.parquet", "user 'ada' occurs in rows 0 and 2"),
    ],
)
def test_the_collected_contradictions_are_refused(case: str, sentence: str) -> None:
    assert sentence in refusal(SHARED / case)
