"""Texts of a manifest: every form of the column, beside images or alone, within limits."""

from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.content_rows import (
    ContentRowReader,
    ContentRows,
    batches_without_content,
    only_content_of,
)
from tweetprofile.data.manifests.forms import Form, group_rows
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import UserBatch, UserImages, users_of
from tweetprofile.errors import ManifestError, OptionError

KINDS = [
    pa.list_(pa.string()),
    pa.large_list(pa.large_string()),
    pa.list_(pa.string_view()),
    pa.list_view(pa.string()),
    pa.large_list_view(pa.string()),
    pa.list_(pa.string(), 3),
    pa.list_(pa.dictionary(pa.int32(), pa.string())),
]


DEFAULT = TextLimits()


def write(path: Path, **columns: Any) -> Manifest:
    pq.write_table(pa.table(columns), path)
    return Manifest.open(path)


def users(manifest: Manifest, limits: TextLimits | None = DEFAULT) -> list[UserImages]:
    return [user for batch in manifest.batches(64, 2, texts=limits) for user in batch.users]


def texts(manifest: Manifest, limits: TextLimits | None = DEFAULT) -> list[tuple[str, ...]]:
    return [user.texts for user in users(manifest, limits)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_texts_are_lists_of_strings_of_any_type(tmp_path: Path, kind: pa.DataType) -> None:
    given = pa.array([["hola", None, "adiós"], None, ["1", "2", "3"]], kind)
    manifest = write(tmp_path / "m.parquet", user_id=[1, 2, 3], texts=given)
    assert (manifest.form, manifest.has_texts, manifest.has_images) == (Form.TEXTS, True, False)
    assert texts(manifest) == [("hola", "adiós"), (), ("1", "2", "3")]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.utf8())]
)
def test_the_long_form_has_texts_beside_images_or_alone(tmp_path: Path, kind: pa.DataType) -> None:
    manifest = write(
        tmp_path / "m.parquet",
        user_id=[1, 1, 1, 2, 3, 3],
        image=["1.jpg", None, "2.jpg", None, None, None],
        text=pa.array(["a", "b", None, None, "c", "d"], kind),
    )
    assert [(len(user.images), user.texts) for user in users(manifest)] == [
        (2, ("a", "b")), (0, ()), (0, ("c", "d")),
    ]  # fmt: skip
    alone = write(tmp_path / "n.parquet", user_id=[1, 1, 2], text=pa.array(["a", "b", None], kind))
    assert (alone.form, alone.has_texts, alone.has_images) == (Form.LONG, True, False)
    assert texts(alone) == [("a", "b"), ()]


def test_files_may_lack_images_or_texts(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", user_id=[1], images=[["1.jpg"]])
    write(tmp_path / "2.parquet", user_id=[2], texts=[["two"]])
    write(tmp_path / "3.parquet", user_id=[3], images=[["3.jpg"]], texts=[["three"]])
    manifest = Manifest.open(tmp_path)
    assert (manifest.form, manifest.has_texts, manifest.has_images) == (Form.PATHS, True, True)
    assert [(len(user.images), user.texts) for user in users(manifest)] == [
        (1, ()), (0, ("two",)), (1, ("three",)),
    ]  # fmt: skip
    assert manifest.remarks == (
        "Column 'images' is missing, and read as null, in 1 file (2.parquet).",
        "Column 'texts' is missing, and read as null, in 1 file (1.parquet).",
    )


def test_files_in_long_form_may_lack_images_or_texts(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", user_id=[1, 2], image=["1.jpg", None])
    write(tmp_path / "2.parquet", user_id=[2, 3], text=["two", "three"])
    assert [(len(user.images), user.texts) for user in users(Manifest.open(tmp_path))] == [
        (1, ()), (0, ("two",)), (0, ("three",)),
    ]  # fmt: skip


def test_texts_are_not_read_unless_they_are_wanted(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.parquet", user_id=[1], images=[["1.jpg"]], texts=[["a"]])
    (batch,) = manifest.batches(8, 8)
    assert batch.table.column_names == ["user_id", "images", "images_given"]
    assert batch.users[0].texts == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"texts": ["a"]}, r"m\.parquet: 'texts' is string; it must be a list of strings\."),
        ({"texts": [[1]]}, r"'texts' is list<.*int64>; it must be a list of strings\."),
        ({"text": [1]}, r"m\.parquet: 'text' is int64; it must be a string\."),
        ({"texts": [[b"a"]], "images": [["a"]]}, "'texts' is list<.*binary>; it must be"),
        ({"city": ["a"]}, r"no column 'images' or 'image', .* 'texts' or 'text' \(it has user_id"),
    ],
)
def test_other_types_and_manifests_with_neither_are_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        write(tmp_path / "m.parquet", user_id=[1], **columns)


def test_the_last_texts_are_kept_and_long_ones_are_cut_at_a_character(tmp_path: Path) -> None:
    given: list[list[str | None]] = [["1", "2", None, "3", "4"], ["ééé", "€€", "🙂🙂", "abcdef"]]
    limits = TextLimits(max_texts=3, max_text_bytes=5)
    for manifest in (
        write(tmp_path / "lists.parquet", user_id=[1, 2], texts=given),
        write(tmp_path / "long.parquet", user_id=[1] * 5 + [2] * 4, text=[*given[0], *given[1]]),
    ):
        assert users(manifest, limits) == [
            UserImages(1, (), texts=("2", "3", "4"), texts_left_out=1),
            UserImages(2, (), texts=("€", "🙂", "abcde"), texts_left_out=1, texts_cut=3),
        ]


def test_a_text_of_exactly_the_limit_is_not_cut(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.parquet", user_id=[1], texts=[["ééé", "éééa"]])
    (user,) = users(manifest, TextLimits(max_text_bytes=6))
    assert (user.texts, user.texts_cut) == (("ééé", "ééé"), 1)


@pytest.mark.parametrize("name", ["max_texts", "max_text_bytes"])
def test_limits_below_their_range_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"`{name}` is 0; it must be at least"):
        TextLimits(**{name: 0})


def test_a_user_with_a_million_rows_of_texts_takes_no_more_memory_than_the_limits() -> None:
    rows = pa.table({"user_id": [7] * 10_000, "text": pa.array(["x" * 200] * 10_000, pa.string())})
    before, most = pa.total_allocated_bytes(), 0

    def watched() -> Any:
        nonlocal most
        for table in repeat(rows, 100):
            yield table
            most = max(most, pa.total_allocated_bytes() - before)

    (user,) = group_rows(watched(), 10, TextLimits(max_texts=500))
    assert (user["texts_given"][0].as_py(), len(user["texts"][0])) == (1_000_000, 500)
    assert most < 50e6


def in_lists(path: Path) -> Manifest:
    return write(
        path,
        user_id=range(9),
        images=[[f"{user}.jpg"] * (user % 3) for user in range(9)],
        texts=[[f"text {number}" for number in range(user)] for user in range(9)],
    )


def in_long_form(path: Path) -> Manifest:
    rows = [
        (user, f"{user}.jpg" if number < user % 3 else None, f"text {number}")
        for user in range(9)
        for number in range(max(1, user))
    ]
    return write(
        path,
        user_id=[user for user, _, _ in rows],
        image=[image for _, image, _ in rows],
        text=[text if user else None for user, _, text in rows],
    )


@pytest.mark.parametrize("make", [in_lists, in_long_form])
def test_a_worker_reads_the_texts_that_the_supervisor_would_read(tmp_path: Path, make: Any) -> None:
    manifest = make(tmp_path / "m.parquet")
    limits = TextLimits(max_texts=4, max_text_bytes=5)
    reader = ContentRowReader(ContentRows(manifest, 1, limits))
    read = [
        user
        for batch in batches_without_content(manifest, 6, 4)
        if batch.rows is not None
        for user in users_of(reader.read(batch.rows))
    ]
    batches = manifest.batches(6, 4, max_images=1, texts=limits)
    assert read == [user for batch in batches for user in batch.users]
    assert read[8].texts == ("text ",) * 4
    assert (read[8].texts_left_out, read[8].texts_cut) == (4, 4)


def test_a_user_who_is_tried_alone_is_the_only_one_with_texts(tmp_path: Path) -> None:
    (batch,) = in_lists(tmp_path / "m.parquet").batches(9, 9, texts=TextLimits())
    alone = UserBatch(0, 0, only_content_of(batch.table, 5)).users
    assert alone[5] == batch.users[5]
    assert [len(user.texts) for user in alone] == [0, 0, 0, 0, 0, 5, 0, 0, 0]
