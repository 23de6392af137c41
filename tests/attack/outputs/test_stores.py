"""In an object store, `predict` replaces only earlier predictions."""

import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attack.outputs.helpers import (
    SCHEMA,
    WITH_AND_WITHOUT_OVERWRITE,
    objects,
    refused,
    write_profiles,
)
from tweetprofile.errors import OutputError, TweetprofileError, WriteError
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.record import RunRecord
from tweetprofile.workers.profiles import Counts


@pytest.mark.slow
@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("s3://dumps/a/", "holds the manifest"),
        ("s3://dumps/a", "holds the manifest"),
        ("s3://dumps/mixed", "is a folder where a file is to be written"),
        ("s3://dumps//a/", "holds the manifest"),
        ("s3://dumps/a/m.parquet", "is the manifest"),
        ("s3://dumps/a/new.parquet", "would become part of the manifest"),
        ("s3://dumps/a/dump/", "is not a table of predictions"),
        ("s3://dumps/a/dump/ada/1.png", "is not a table of predictions"),
        ("s3://dumps/mixed/", "notes.txt is not a table of predictions"),
        ("s3://dumps/deep/", "is not a table of predictions"),
    ],
)
def test_predict_replaces_nothing_in_a_store_unless_all_of_it_are_predictions(
    users: Path,
    store: pafs.FileSystem,
    capsys: pytest.CaptureFixture[str],
    out: str,
    sentence: str,
    flags: list[str],
) -> None:
    for name in ("m.parquet", "dump"):
        source, target = str(users / name), f"dumps/a/{name}"
        pafs.copy_files(source, target, destination_filesystem=store)
    for key in ("mixed/part-00000.parquet", "deep/part-00000.parquet", "deep/b/part-1.parquet"):
        pafs.copy_files(str(users / "p.parquet"), f"dumps/{key}", destination_filesystem=store)
    pafs.copy_files(str(users / "notes.txt"), "dumps/mixed/notes.txt", destination_filesystem=store)
    before = objects(store)
    manifest = "s3://dumps/a" if "new" in out else "s3://dumps/a/m.parquet"
    said = refused(
        users, capsys, "predict", manifest, "-o", out, "--checkpoint", "ROOT/model.safetensors",
        *flags,
    )  # fmt: skip
    assert sentence in said
    assert objects(store) == before


@pytest.mark.slow
def test_an_earlier_output_in_a_store_is_replaced_by_files_of_the_same_names(
    users: Path, store: pafs.FileSystem
) -> None:
    for out in ("s3://dumps/out/", "s3://dumps/out.parquet", "s3://dumps/out.csv"):
        write_profiles(out)
        with pytest.raises(OutputError, match="exists; choose another name or pass"):
            write_profiles(out)
        before = objects(store)
        write_profiles(out, overwrite=True)
        assert objects(store).keys() == before.keys()
        assert objects(store) != before


@pytest.mark.slow
def test_a_foreign_object_that_appears_during_the_run_is_not_replaced(
    users: Path, store: pafs.FileSystem
) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=True)
    table = SCHEMA.empty_table()
    with (
        pytest.raises(WriteError, match=r"notes\.txt is not .* run it again with `resume=True`"),
        RowWriter("s3://dumps/late/", SCHEMA, record, 1) as writer,
    ):
        writer.write(0, table, Counts())
        with store.open_output_stream("dumps/late/notes.txt") as file:
            file.write(b"precious")
        before = objects(store)
        writer.finish()
    assert objects(store) == before


KEYS = ["part-00000.parquet", "part-1.parquet", "notes.txt", "b/part-0.parquet", "run.json", ""]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stored=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["ours", "text", "manifest"])),
    out=st.sampled_from(["s3://dumps/x/", "s3://dumps/x", "s3://dumps/x/b/", "s3://dumps/"]),
    overwrite=st.booleans(),
    resume=st.booleans(),
)
def test_no_foreign_object_is_changed_whatever_is_in_the_store(
    drawn_users: Path,
    store: pafs.FileSystem,
    tmp_path: Path,
    stored: dict[str, str],
    out: str,
    overwrite: bool,
    resume: bool,
) -> None:
    store.delete_dir_contents("dumps")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    if not (tmp_path / "ours").exists():
        write_profiles(tmp_path / "ours")
        shutil.copyfile(drawn_users / "labels.csv", tmp_path / "text")
        shutil.copyfile(drawn_users / "m.parquet", tmp_path / "manifest")
    for key, what in stored.items():
        target = f"dumps/x/{key}".rstrip("/")
        pafs.copy_files(str(tmp_path / what), target, destination_filesystem=store)
    before = objects(store)
    with suppress(TweetprofileError):
        write_profiles(out, overwrite=overwrite, resume=resume)
    after = objects(store)
    for path, facts in before.items():
        if after.get(path) != facts:
            assert stored.get(path.removeprefix("dumps/x").removeprefix("/")) == "ours"
            assert overwrite or resume
