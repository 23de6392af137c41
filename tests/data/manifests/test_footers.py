"""Footers are read as Arrow reads them, and damaged ones cause an error, not a crash."""

import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests import footers
from tweetprofile.data.manifests.footers import dictionary_bytes, read_claims, require_sound_pages


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.parquet"
    images = [[f"{user}/{place}.jpg" for place in range(3)] for user in range(1000)]
    table = pa.table({"user_id": range(1000), "images": images})
    pq.write_table(table, path, row_group_size=300, data_page_size=1000)
    return path


def test_the_claims_of_a_footer_match_what_arrow_reads(file: Path) -> None:
    expected = pq.read_metadata(file)
    with file.open("rb") as opened:
        claims = read_claims(opened)
    assert [group.rows for group in claims] == [300, 300, 300, 100]
    for number, group in enumerate(claims):
        for position, column in enumerate(group.columns):
            found = expected.row_group(number).column(position)
            assert column.path == found.path_in_schema
            assert column.of_bytes == (found.physical_type == "BYTE_ARRAY")
            assert column.values == found.num_values
            assert column.packed == found.total_compressed_size
            assert column.unpacked == found.total_uncompressed_size
            assert column.first_page == found.dictionary_page_offset


def test_the_size_of_a_dictionary_is_that_of_its_page(file: Path) -> None:
    with file.open("rb") as opened:
        ids, images = read_claims(opened)[0].columns
        assert dictionary_bytes(opened, ids) == 0  # numbers have no repeated texts
        entries = [f"{user}/{place}.jpg" for user in range(300) for place in range(3)]
        assert dictionary_bytes(opened, images) == sum(4 + len(entry) for entry in entries)


def test_pages_of_every_size_are_accepted_until_one_is_damaged(file: Path) -> None:
    data = bytearray(file.read_bytes())
    _, images = read_claims(io.BytesIO(data))[0].columns
    require_sound_pages(io.BytesIO(data), images)
    data[images.first_page] = 0xFF
    with pytest.raises(ValueError, match=r"a page of column 'images\..*' has a damaged header"):
        require_sound_pages(io.BytesIO(data), images)


def test_a_page_that_arrow_would_skip_is_detected(file: Path) -> None:
    """Arrow skips a page that claims to be an index, even if its checksum is right."""
    data = bytearray(file.read_bytes())
    ids, _ = read_claims(io.BytesIO(data))[0].columns
    page = pq.read_metadata(file).row_group(0).column(0).data_page_offset
    assert data[page : page + 2] == b"\x15\x00"  # a page of values
    data[page + 1] = 0x02
    with pytest.raises(ValueError, match=r"'user_id' hold 0 values; the footer claims 300"):
        require_sound_pages(io.BytesIO(data), ids)


def test_a_footer_whose_row_groups_do_not_add_up_is_damaged(file: Path) -> None:
    data = file.read_bytes()
    claimed = b"\x16\xd0\x0f"  # field 3 of a footer: 1000 rows
    assert data.count(claimed) == 1
    with pytest.raises(ValueError, match="row groups do not add up to its rows"):
        read_claims(io.BytesIO(data.replace(claimed, b"\x16\xd2\x0f")))


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + b"\xff" * 40, b"\x1f" * 400 + b"\x90\1\0\0PAR1"]
)
def test_data_without_a_footer_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="its footer is"):
        read_claims(io.BytesIO(data))


def test_a_large_page_that_cannot_be_compressed_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footers, "_ALWAYS_READ", 1_000)
    noise = [random.Random(number).randbytes(200_000) for number in range(5)]
    pq.write_table(pa.table({"noise": noise}), tmp_path / "m.parquet", use_dictionary=False)
    with (tmp_path / "m.parquet").open("rb") as file:
        ((column,),) = [group.columns for group in read_claims(file)]
        assert column.packed > column.unpacked
        require_sound_pages(file, column)
