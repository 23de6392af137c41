"""Hostile texts are read within the limits and counted, and never end a command."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.attack.hostile_text_lists import hostile_texts
from tweetprofile.cli import main
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.errors import ManifestError

HOSTILE = dict(hostile_texts())


def write(path: Path, texts: pa.Array, *, long: bool) -> Path:
    table = pa.table({"user_id": ["1", "2"], "texts": texts})
    if long:
        owners = texts.value_parent_indices()
        table = pa.table({"user_id": table["user_id"].take(owners), "text": texts.flatten()})
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("long", [False, True], ids=["lists", "long"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_lists_are_limited_and_counted(tmp_path: Path, name: str, long: bool) -> None:
    texts = HOSTILE[name]
    manifest = Manifest.open(write(tmp_path / "m.parquet", texts, long=long))
    limits = TextLimits()
    for batch in manifest.batches(64, 8, texts=limits):
        for user in batch.users:
            given = texts[int(user.user_id) - 1].values
            given = pa.nulls(0) if given is None else given
            assert len(user.texts) + user.texts_left_out == len(given) - given.null_count
            assert len(user.texts) <= limits.max_texts
            sizes = [len(text.encode().replace(b"\xef\xbf\xbd", b"?")) for text in user.texts]
            assert max(sizes, default=0) <= limits.max_text_bytes
            assert user.texts_cut == sum(size >= limits.max_text_bytes - 3 for size in sizes)


def test_hostile_text_lists_are_inspected_and_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = pa.concat_arrays(list(HOSTILE.values()))
    ids = [str(user) for user in range(len(texts))]
    pq.write_table(pa.table({"user_id": ids, "texts": texts}), tmp_path / "m.parquet")
    assert main(["inspect", str(tmp_path / "m.parquet"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["texts"]
    values = texts.flatten()
    assert found["given"] == len(values) - values.null_count
    assert (found["null"], found["undecodable"]) == (values.null_count, 5)
    assert main(["split", str(tmp_path / "m.parquet"), "--validation", "0", "--quiet"]) == 0
    parts = [pq.read_table(tmp_path / f"m.{part}.parquet") for part in ("train", "test")]
    assert sum(len(column) for part in parts for column in part["texts"]) == found["given"]


@pytest.mark.parametrize("long", [False, True], ids=["lists", "long"])
def test_a_small_file_that_claims_gigabytes_of_texts_is_refused(tmp_path: Path, long: bool) -> None:
    text = "x" * 20_000_000
    column = (
        {"text": pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int8()), [text])}
        if long
        else {
            "texts": pa.ListArray.from_arrays(
                [0, 100], pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int8()), [text])
            )
        }
    )
    ids = [1] * (100 if long else 1)
    pq.write_table(pa.table({"user_id": ids, **column}), tmp_path / "m.parquet")
    manifest = Manifest.open(tmp_path / "m.parquet")
    before = pa.default_memory_pool().max_memory()
    if long:  # row by row, each within the limits
        (user,) = (u for batch in manifest.batches(8, 8, texts=TextLimits()) for u in batch.users)
        assert (len(user.texts), user.texts_cut) == (100, 100)
    else:
        with pytest.raises(ManifestError, match=r"unpacks into 2,000,000,\d+ bytes"):
            list(manifest.batches(8, 8, texts=TextLimits()))
    assert pa.default_memory_pool().max_memory() - before < 1 << 30
