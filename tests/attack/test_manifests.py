"""Damaged manifests cause one sentence or give the right rows, quickly and in bounded memory."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.errors import TweetprofileError

USERS = 300

FORMS = ("paths", "bytes", "huggingface", "long")


def table_of(form: str) -> pa.Table:
    """Return a manifest of a form, with labels."""
    ids = [f"user-{user}" for user in range(USERS)]
    paths = [[f"{user}/{place}.jpg" for place in range(user % 5)] for user in range(USERS)]
    labels = [("female", "male", None)[user % 3] for user in range(USERS)]
    if form == "long":
        rows = [(user, path) for user, each in zip(ids, paths, strict=True) for path in each]
        users, images = zip(*rows, strict=True)
        return pa.table({"user_id": users, "image": images, "gender": ["x"] * len(rows)})
    files = [[path.encode() * 9 for path in each] for each in paths]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    both = [
        [{"bytes": file, "path": path} for file, path in zip(*each, strict=True)]
        for each in zip(files, paths, strict=True)
    ]
    images = {
        "paths": pa.array(paths, pa.list_(pa.string())),
        "bytes": pa.array(files, pa.list_(pa.binary())),
        "huggingface": pa.array(both, pa.list_(struct)),
    }[form]
    return pa.table({"user_id": ids, "images": images, "gender": labels})


def encoded(form: str, *, checksums: bool, compression: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(
        table_of(form),
        file,
        write_page_checksum=checksums,
        compression=compression,
        row_group_size=100,
        data_page_size=2000,
    )
    return file.getvalue()


def users_in(file: Path) -> list[UserImages]:
    manifest = Manifest.open(file)
    manifest.count_users()
    columns = ["gender"] if "gender" in manifest.schema.names else []
    return [user for batch in manifest.batches(64, 8, columns) for user in batch.users]


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """Flip some bits, or remove, repeat or zero a part."""
    changed = bytearray(data)
    start = int(random.integers(len(data)))
    length = int(random.integers(1, 200))
    match random.integers(8):
        case 0:
            del changed[start : start + length]
        case 1:
            changed[start:start] = changed[start : start + length]
        case 2:
            changed[start : start + length] = bytes(len(changed[start : start + length]))
        case _:
            for _ in range(int(random.integers(1, 4))):
                changed[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def cases(rounds: int, *, checksums: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield valid manifests of every form, each with a damaged copy."""
    random = np.random.default_rng(rounds)
    sound = [
        encoded(form, checksums=checksums, compression=compression)
        for form in FORMS
        for compression in ("none", "snappy", "zstd")
    ]
    for number in range(rounds):
        data = sound[number % len(sound)]
        yield data, damage(data, random)


def pages(data: bytes) -> bytes:
    """Return what precedes the footer of a Parquet file; the footer has no checksum."""
    return data[: -8 - int.from_bytes(data[-8:-4], "little")]


@pytest.mark.parametrize(
    ("rounds", "checksums"),
    [
        (200, True),
        (200, False),
        pytest.param(5000, True, marks=pytest.mark.slow),
        pytest.param(5000, False, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_manifest_causes_one_sentence_or_is_read_as_far_as_checksums_reach(
    tmp_path: Path, rounds: int, checksums: bool
) -> None:
    file, refused = tmp_path / "m.parquet", 0
    expected: dict[bytes, list[UserImages]] = {}
    for data, damaged in cases(rounds, checksums=checksums):
        if data not in expected:
            file.write_bytes(data)
            expected[data] = users_in(file)
        file.write_bytes(damaged)
        try:
            found = users_in(file)
        except TweetprofileError as error:
            refused += 1
            assert "\n" not in str(error)
            assert str(file) in str(error)
            continue
        if checksums and found != expected[data]:
            assert pages(damaged) == pages(data)  # only a footer can be wrong unnoticed
    assert refused > rounds / 3
