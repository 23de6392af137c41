"""Fields of users' own profiles are read beside texts, whatever a file gives for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.content_rows import ContentRowReader, ContentRows
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import RowRange, UserImages, users_of
from tweetprofile.errors import ManifestError

TEXTS = pa.array([["hola"], [], ["adiós"]], pa.list_(pa.string()))


def read(manifest: Manifest, rows: int = 3, **limits: Any) -> list[UserImages]:
    wanted = ContentRows(manifest, 10, TextLimits(**limits), manifest.profile_columns)
    return users_of(ContentRowReader(wanted).read(RowRange(0, rows, 3)))


def write(path: Path, columns: Mapping[str, Any]) -> Manifest:
    pq.write_table(pa.table({"user_id": ["a", "b", "c"], "texts": TEXTS, **columns}), path)
    return Manifest.open(path)


def test_each_user_has_the_fields_that_are_not_null(tmp_path: Path) -> None:
    names = ["Ada", None, ""]
    manifest = write(tmp_path / "m.parquet", {"name": names, "description": ["x", "y", None]})
    profiles = [user.profile for user in read(manifest)]
    assert profiles == [{"name": "Ada", "description": "x"}, {"description": "y"}, {"name": ""}]
    assert [user.texts for user in read(manifest)] == [("hola",), (), ("adiós",)]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.utf8())]
)
def test_a_field_may_have_any_type_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    manifest = write(tmp_path / "m.parquet", {"name": pa.array(["Ada", None, "Zoë"], kind)})
    assert [user.profile.get("name") for user in read(manifest)] == ["Ada", None, "Zoë"]


@pytest.mark.parametrize("kind", [pa.null(), pa.float64()])
def test_a_field_without_any_value_may_have_any_type(tmp_path: Path, kind: pa.DataType) -> None:
    manifest = write(tmp_path / "m.parquet", {"name": pa.nulls(3, kind)})
    assert [user.profile for user in read(manifest)] == [{}, {}, {}]


def test_a_field_that_is_no_text_is_refused_with_its_file(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.parquet", {"name": [1, 2, 3]})
    with pytest.raises(ManifestError, match=r"m\.parquet: 'name' is int64; it must be a string"):
        read(manifest)


def test_a_long_field_is_cut_at_a_character_and_counted(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.parquet", {"description": ["x" * 50, "ñ" * 50, "short"]})
    users = read(manifest, max_text_bytes=9)
    assert [user.profile["description"] for user in users] == ["x" * 9, "ñ" * 4, "short"]
    assert [user.texts_cut for user in users] == [1, 1, 0]


def test_bytes_that_are_not_utf8_are_replaced(tmp_path: Path) -> None:
    raw = pa.array([b"\xff\x00Ada", b"\xed\xa0\x80", b"fine"], pa.binary())
    manifest = write(tmp_path / "m.parquet", {"name": raw.view(pa.string())})
    names = [user.profile["name"] for user in read(manifest)]
    assert names == ["�\x00Ada", "���", "fine"]


def test_files_may_lack_a_field(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "1.parquet", {"name": ["Ada", "Bob", "Cy"]})
    two = pa.table({"user_id": ["d"], "texts": TEXTS.slice(0, 1)})
    pq.write_table(two, folder / "2.parquet")
    manifest = Manifest.open(folder)
    wanted = ContentRows(manifest, 10, TextLimits(), manifest.profile_columns)
    users = users_of(ContentRowReader(wanted).read(RowRange(0, 4, 4)))
    assert [user.profile.get("name") for user in users] == ["Ada", "Bob", "Cy", None]


@pytest.mark.parametrize("rows_per_group", [1, 2, 100])
def test_in_the_long_form_the_first_field_of_a_user_counts_that_is_not_null(
    tmp_path: Path, rows_per_group: int
) -> None:
    path = tmp_path / "long.parquet"
    rows = {"user_id": ["a", "a", "a", "b", "c"], "text": ["1", "2", None, None, "3"]}
    names = [None, "Ada", "other", "Bob", None]
    pq.write_table(pa.table({**rows, "name": names}), path, row_group_size=rows_per_group)
    users = read(Manifest.open(path), rows=5)
    assert [(user.texts, dict(user.profile)) for user in users] == [
        (("1", "2"), {"name": "Ada"}),
        ((), {"name": "Bob"}),
        (("3",), {}),
    ]
