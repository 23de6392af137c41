"""`predict` replaces only earlier predictions, and statistics and logs of its own."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.attack.outputs.helpers import (
    SCHEMA,
    WITH_AND_WITHOUT_OVERWRITE,
    refused,
    snapshot,
    write_profiles,
)
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import WriteError
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.record import RunRecord
from tweetprofile.workers.profiles import Counts

PREDICT = {
    "ROOT/m.parquet": "is the manifest",
    "ROOT/link.parquet": "is the manifest",
    "ROOT/hard.parquet": "is the manifest",
    "ROOT/": "holds the manifest",
    "ROOT/model.safetensors": "is the checkpoint",
    "ROOT/labels.csv": "is not a table of predictions that tweetprofile wrote",
    "ROOT/dump/ada/1.png": "is not a table of predictions that tweetprofile wrote",
    "ROOT/hard.png": "is not a table of predictions",
    "ROOT/beside.csv": "beside.csv.json exists and is not the description of a table of",
    "ROOT/read.csv": "read.csv.json is the manifest",
    "ROOT/new.xlsx": "ends in '.xlsx', an unsupported format",
    "ROOT/pipe": "is a pipe where a file is to be written",
    "ROOT/loop": "is a link that leads nowhere",
    "ROOT/notes": "is a folder where a file is to be written",
    "ROOT/notes/": "holds thesis.tex, which is not a table of predictions",
    "ROOT/data/": "holds part-00000.parquet, which is not a table of predictions",
    "ROOT/empty/": "is an empty folder, which is not replaced",
    "ROOT/foreign": "foreign.partial/thesis.tex is in the way",
    "ROOT/data/part-00000.parquet": "is not a table of predictions",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("out", PREDICT)
def test_predict_replaces_only_earlier_predictions(
    users: Path, capsys: pytest.CaptureFixture[str], out: str, flags: list[str]
) -> None:
    same = ("--checkpoint", "ROOT/model.safetensors")
    said = refused(users, capsys, "predict", "ROOT/m.parquet", "-o", out, *same, *flags)
    assert PREDICT[out] in said


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("manifest", ["ROOT/data", "ROOT/d*/*.parquet", "ROOT/**/*.parquet"])
def test_an_output_must_not_become_part_of_the_manifest(
    users: Path, capsys: pytest.CaptureFixture[str], manifest: str, flags: list[str]
) -> None:
    (users / "run" / "train.toml").unlink()
    for path in (*users.glob("*.parquet"), *users.glob("manifests/*")):
        path.unlink()
    same = ("--checkpoint", "ROOT/model.safetensors")
    out = "ROOT/data/out.parquet"
    said = refused(users, capsys, "predict", manifest, "-o", out, *same, *flags)
    assert "would become part of the manifest" in said


def test_an_output_folder_below_a_manifest_folder_is_not_part_of_the_manifest(users: Path) -> None:
    inputs = inputs_of(Manifest.open(users / "data"), users)
    write_profiles(f"{users}/data/out/", inputs=inputs)
    write_profiles(f"{users}/data/out/", inputs=inputs, overwrite=True)
    assert len(Manifest.open(users / "data").files) == 1


@WITH_AND_WITHOUT_OVERWRITE
def test_a_device_is_never_replaced(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    try:  # not the real /dev/null, which a failing test would replace
        os.mknod(users / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only the superuser may make a device")
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/null", "--checkpoint",
        "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert "is a device where a file is to be written" in said


STATISTICS = {
    "ROOT/out.parquet": "is where the output is written",
    "ROOT/m.parquet": "is the manifest",
    "ROOT/hard.parquet": "is the manifest",
    "ROOT/model.safetensors": "is the checkpoint",
    "ROOT/p.parquet": "is a table of predictions and not a file of statistics",
    "ROOT/notes.txt": "is not a file of statistics that tweetprofile wrote",
    "ROOT/pipe": "is a pipe",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("path", STATISTICS)
def test_statistics_replace_only_earlier_statistics(
    users: Path, capsys: pytest.CaptureFixture[str], path: str, flags: list[str]
) -> None:
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/out.parquet", "--stats", path,
        "--checkpoint", "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert STATISTICS[path] in said


@WITH_AND_WITHOUT_OVERWRITE
def test_a_log_is_not_appended_to_a_foreign_file(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/logged", "--debug",
        "--checkpoint", "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert "logged.worker-0.log exists and is not a worker's log" in said


# --- what appears between the check and the end of the run ----------------------------------------


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out/"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_output_that_appears_during_the_run_is_not_replaced(
    tmp_path: Path, name: str, *, overwrite: bool
) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=overwrite)
    out = tmp_path / name
    with (
        pytest.raises(WriteError, match="`resume=True`"),
        RowWriter(f"{tmp_path}/{name}", SCHEMA, record, 1) as writer,
    ):
        writer.write(0, SCHEMA.empty_table(), Counts())
        if name.endswith("/"):
            out.mkdir()
            (out / "thesis.tex").write_text("precious")
        else:
            out.write_text("precious")
        before = snapshot(tmp_path)
        writer.finish()
    after = snapshot(tmp_path)
    assert {path: after[path] for path in before if "partial" not in str(path)} == {
        path: before[path] for path in before if "partial" not in str(path)
    }
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    write_profiles(f"{tmp_path}/{name}", resume=True)
    assert out.exists()


def test_a_foreign_file_that_appears_in_the_folder_of_the_unfinished_run_is_kept(
    tmp_path: Path,
) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=False)
    with RowWriter(f"{tmp_path}/out.parquet", SCHEMA, record, 1) as writer:
        writer.write(0, SCHEMA.empty_table(), Counts())
        (tmp_path / "out.parquet.partial" / "notes.txt").write_text("precious")
        writer.finish()
    assert (tmp_path / "out.parquet.partial" / "notes.txt").read_text() == "precious"
