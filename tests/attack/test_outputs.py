"""No output replaces what is not an earlier output of the same command, whatever stands there."""

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.cli import main
from tweetprofile.data.files.logs import check_logs, open_log
from tweetprofile.data.files.protection import Inputs, check_file
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OutputError, TweetprofileError, WriteError
from tweetprofile.evaluation.folder import prepare_folder as prepare_evaluation
from tweetprofile.evaluation.written import write_files
from tweetprofile.importers.run import ImportOptions, import_dump
from tweetprofile.inspection.contact_sheets import _write_png
from tweetprofile.inspection.drawing import Sheet
from tweetprofile.job import PredictorFacts
from tweetprofile.networks import build_network, network_spec
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.output import ProfileWriter
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.summary import PredictSummary, check_stats, write_stats
from tweetprofile.training.folder import FolderOptions, prepare_folder, write_card
from tweetprofile.training.scores import EpochMetrics
from tweetprofile.training.settings import TrainOptions, write_settings
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import Counts, UserOutcome, make_profiles, profile_schema

TRAITS = TraitSchema((Trait("mood", ("calm", "cross")),))
SCHEMA = profile_schema(TRAITS, pa.string())
FACTS = PredictorFacts(
    checkpoint_sha256="0" * 64,
    network="model1",
    schema=TRAITS,
    volume={},
    device="cpu",
    decoder="pillow",
    precision="bf16",
    batch_size=2,
    cuda_devices=0,
)
NETWORK = build_network(network_spec("deepset"), VolumeSpec(height=16, width=16), TRAITS)

Snapshot = dict[Path, tuple[object, ...]]

EITHER = pytest.mark.parametrize("flags", [[], ["--overwrite"]], ids=["plain", "overwrite"])


def snapshot(root: Path) -> Snapshot:
    """Type, inode, time and content of all below a folder; of folders type and inode."""
    found: Snapshot = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        facts: tuple[object, ...] = (stat.S_IFMT(status.st_mode), status.st_ino)
        if stat.S_ISREG(status.st_mode):
            facts += (status.st_mtime_ns, path.read_bytes())
        elif stat.S_ISLNK(status.st_mode):
            facts += (str(path.readlink()),)
        found[path] = facts
    return found


def write_profiles(
    out: Path | str, *, overwrite: bool = False, resume: bool = False, inputs: Inputs | None = None
) -> None:
    """What `predict` does when a user has been predicted."""
    record = RunRecord.new({"network": "model1"}, overwrite=overwrite)
    table = make_profiles(
        TRAITS, [UserOutcome("ada", 1, 1, ())], {"mood": np.full((1, 2), 0.5, np.float32)}
    )
    with ProfileWriter(str(out), SCHEMA, record, 1, resume=resume, inputs=inputs) as writer:
        if 0 not in writer.finished:
            writer.write(0, table, Counts.of(table, 100))
        writer.finish()


def leave_unfinished(out: Path) -> None:
    """What `predict` leaves when it is killed after the first of two shards."""
    record = RunRecord.new({"network": "model1"}, overwrite=True)
    table = make_profiles(
        TRAITS, [UserOutcome("ada", 1, 1, ())], {"mood": np.full((1, 2), 0.5, np.float32)}
    )
    with suppress(KeyboardInterrupt), ProfileWriter(str(out), SCHEMA, record, 2) as writer:
        writer.write(0, table, Counts.of(table, 100))
        raise KeyboardInterrupt


@pytest.fixture(scope="session")
def drawn_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two users with images, a manifest, labels, and odd things beside them."""
    root = tmp_path_factory.mktemp("users")
    for user in ("ada", "bob"):
        (root / "dump" / user).mkdir(parents=True)
        Image.new("RGB", (9, 9), user_colour(user)).save(root / "dump" / user / "1.png")
    frame = pl.DataFrame(
        {
            "user_id": ["ada", "bob"],
            "images": [["dump/ada/1.png"], ["dump/bob/1.png"]],
            "mood": ["calm", "cross"],
        }
    )
    (root / "data").mkdir()
    frame.write_parquet(root / "m.parquet")
    frame.write_parquet(root / "data" / "part-00000.parquet")
    (root / "labels.csv").write_text("user_id,mood\nada,calm\nbob,cross\n")
    (root / "schema.toml").write_text('[traits]\nmood = ["calm", "cross"]\n')
    (root / "config.toml").write_text("epochs = 1\n")
    return root


def user_colour(user: str) -> tuple[int, int, int]:
    return (len(user) * 40, ord(user[0]), 7)


@pytest.fixture
def users(drawn_users: Path, model: Path, tmp_path: Path) -> Path:
    """A copy of them with a checkpoint, predictions, links, hard links and a pipe."""
    root = shutil.copytree(drawn_users, tmp_path / "users")
    shutil.copyfile(model, root / "model.safetensors")
    write_profiles(root / "p.parquet")
    (root / "link.parquet").symlink_to("m.parquet")
    (root / "hard.parquet").hardlink_to(root / "m.parquet")
    (root / "hard.png").hardlink_to(root / "dump" / "ada" / "1.png")
    (root / "loop").symlink_to("loop")
    (root / "beside.csv.json").write_text("{}")
    (root / "read.csv.json").symlink_to("m.parquet")
    os.mkfifo(root / "pipe")
    (root / "notes").mkdir()
    (root / "notes" / "thesis.tex").write_text("precious")
    (root / "notes.txt").write_text("precious")
    (root / "foreign.partial").mkdir()
    (root / "foreign.partial" / "thesis.tex").write_text("precious")
    (root / "logged.worker-0.log").write_text("precious")
    (root / "empty").mkdir()
    (root / "tables").mkdir()
    shutil.copyfile(root / "labels.csv", root / "tables" / "labels.csv")
    (root / "manifests").mkdir()
    shutil.copyfile(root / "m.parquet", root / "manifests" / "part-00000.parquet")
    (root / "run").mkdir()
    (root / "run" / "train.toml").write_text("precious")
    (root / "run" / "metrics.jsonl").write_text("precious")
    return root


def refused(
    root: Path, capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2
) -> str:
    """Run a command that must change nothing; its one sentence."""
    before = snapshot(root)
    told = [str(argument).replace("ROOT", str(root)) for argument in arguments]
    capsys.readouterr()
    assert main(told) == code, capsys.readouterr().err
    assert snapshot(root) == before
    *traceback, line = capsys.readouterr().err.strip().splitlines()
    assert not traceback or "--debug" in told
    return line


# --- what the issue names -----------------------------------------------------------------------


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
    "ROOT/new.xlsx": "ends in '.xlsx', which is not written",
    "ROOT/pipe": "is a pipe where a file is to be written",
    "ROOT/loop": "is a link that leads nowhere",
    "ROOT/notes": "is a folder where a file is asked for",
    "ROOT/notes/": "holds thesis.tex, which is not a table of predictions",
    "ROOT/data/": "holds part-00000.parquet, which is not a table of predictions",
    "ROOT/empty/": "is an empty folder, which is not replaced",
    "ROOT/foreign": "foreign.partial/thesis.tex is in the way",
    "ROOT/data/part-00000.parquet": "is not a table of predictions",
}


@EITHER
@pytest.mark.parametrize("out", PREDICT)
def test_predict_replaces_nothing_but_predictions(
    users: Path, capsys: pytest.CaptureFixture[str], out: str, flags: list[str]
) -> None:
    same = ("--checkpoint", "ROOT/model.safetensors")
    said = refused(users, capsys, "predict", "ROOT/m.parquet", "-o", out, *same, *flags)
    assert PREDICT[out] in said


@EITHER
@pytest.mark.parametrize("manifest", ["ROOT/data", "ROOT/d*/*.parquet", "ROOT/**/*.parquet"])
def test_a_new_file_does_not_become_part_of_the_manifest_that_is_read(
    users: Path, capsys: pytest.CaptureFixture[str], manifest: str, flags: list[str]
) -> None:
    (users / "run" / "train.toml").unlink()
    for path in (*users.glob("*.parquet"), *users.glob("manifests/*")):
        path.unlink()
    same = ("--checkpoint", "ROOT/model.safetensors")
    out = "ROOT/data/out.parquet"
    said = refused(users, capsys, "predict", manifest, "-o", out, *same, *flags)
    assert "would become part of the manifest" in said


def test_a_folder_below_a_manifest_is_no_part_of_it(users: Path) -> None:
    inputs = inputs_of(Manifest.open(users / "data"), users)
    write_profiles(f"{users}/data/out/", inputs=inputs)
    write_profiles(f"{users}/data/out/", inputs=inputs, overwrite=True)
    assert len(Manifest.open(users / "data").files) == 1


@EITHER
def test_a_device_is_never_replaced(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    try:  # a device of its own, for a test that fails would replace it
        os.mknod(users / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only the superuser may make a device")
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/null", "--checkpoint",
        "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert "is a device where a file is to be written" in said


STATISTICS = {
    "ROOT/out.parquet": "is where the profiles are written",
    "ROOT/m.parquet": "is the manifest",
    "ROOT/hard.parquet": "is the manifest",
    "ROOT/model.safetensors": "is the checkpoint",
    "ROOT/p.parquet": "is a table of predictions and not a file of statistics",
    "ROOT/notes.txt": "is not a file of statistics that tweetprofile wrote",
    "ROOT/pipe": "is a pipe",
}


@EITHER
@pytest.mark.parametrize("path", STATISTICS)
def test_statistics_replace_nothing_but_statistics(
    users: Path, capsys: pytest.CaptureFixture[str], path: str, flags: list[str]
) -> None:
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/out.parquet", "--stats", path,
        "--checkpoint", "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert STATISTICS[path] in said


@EITHER
def test_a_log_is_not_appended_to_a_file_of_others(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    said = refused(
        users, capsys, "predict", "ROOT/m.parquet", "-o", "ROOT/logged", "--debug",
        "--checkpoint", "ROOT/model.safetensors", *flags,
    )  # fmt: skip
    assert "logged.worker-0.log exists and is not a worker's log" in said


IMPORT = {
    ("ROOT/labels.csv", "--labels", "ROOT/labels.csv"): "is the table of labels",
    ("ROOT/notes.txt",): "is not an imported manifest that tweetprofile wrote",
    ("ROOT/m.parquet",): "is not an imported manifest that tweetprofile wrote",
    ("ROOT/p.parquet",): "is a table of predictions and not an imported manifest",
    ("ROOT/dump/ada/1.png",): "is not an imported manifest",
    ("ROOT/dump/metadata.parquet",): "would become part of the dump",
    ("ROOT/pipe",): "is a pipe",
    ("ROOT/data/", "--embed", "--labels", "ROOT/labels.csv"): "holds part-00000.parquet, which is",
    ("ROOT/tables/", "--embed", "--labels", "ROOT/tables/labels.csv"): "holds the table of",
    ("ROOT/manifests/", "--embed"): "holds part-00000.parquet, which is not",
    ("ROOT/dump/", "--embed"): "is the dump",
    ("ROOT/empty/", "--embed"): "is an empty folder, which is not replaced",
    ("ROOT/", "--embed"): "holds the dump",
    ("ROOT/dump/ada/", "--embed"): "would become part of the dump",
    ("ROOT/dump/new/", "--embed"): "would become part of the dump",
}


@EITHER
@pytest.mark.parametrize("arguments", IMPORT)
def test_import_replaces_nothing_but_imported_manifests(
    users: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], flags: list[str]
) -> None:
    out, *others = arguments
    said = refused(users, capsys, "import", "folder", "ROOT/dump", "-o", out, *others, *flags)
    assert IMPORT[arguments] in said


@EITHER
def test_an_import_neither_replaces_nor_removes_a_list_of_others(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    (users / "new.parquet.skipped.csv").write_text("reason,file,line,what\nmine,,,\n")
    said = refused(users, capsys, "import", "folder", "ROOT/dump", "-o", "ROOT/new.parquet", *flags)
    assert "is not an import's list of losses that tweetprofile wrote" in said


def test_a_folder_that_happens_to_be_called_partial_stays(users: Path) -> None:
    before = snapshot(users)
    import_dump("folder", users / "dump", users / "foreign", ImportOptions(overwrite=True))
    import_dump("folder", users / "dump", users / "foreign", ImportOptions(overwrite=True))
    after = snapshot(users)
    assert after.keys() - before.keys() == {users / "foreign"}
    assert {path: after[path] for path in before} == before


SHEETS = {
    "ROOT/m.parquet": "is the manifest",
    "ROOT/link.parquet": "is the manifest",
    "ROOT/dump/ada/1.png": "is not a contact sheet that tweetprofile wrote",
    "ROOT/hard.png": "is not a contact sheet that tweetprofile wrote",
    "ROOT/notes.txt": "is not a contact sheet",
    "ROOT/pipe": "is a pipe",
    "ROOT/loop": "is a link that leads nowhere",
}


@EITHER
@pytest.mark.parametrize("out", SHEETS)
def test_a_contact_sheet_replaces_nothing_but_contact_sheets(
    users: Path, capsys: pytest.CaptureFixture[str], out: str, flags: list[str]
) -> None:
    command = ("inspect", "ROOT/m.parquet", "--contact-sheet", "ada")
    assert SHEETS[out] in refused(users, capsys, *command, "-o", out, *flags)


@EITHER
def test_contact_sheets_do_not_come_into_a_folder_of_others(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    command = ("inspect", "ROOT/m.parquet", "--contact-sheets", 2)
    said = refused(users, capsys, *command, "-o", "ROOT/notes", *flags)
    assert "holds thesis.tex, which is not a contact sheet" in said
    assert "holds the manifest" in refused(users, capsys, *command, "-o", "ROOT", *flags)


EVALUATE = {
    "ROOT": "holds the manifest",
    "ROOT/data": "holds the manifest",
    "ROOT/predicted": "is the predictions",
    "ROOT/predicted/new": "would become part of the predictions",
    "ROOT/notes": "holds thesis.tex, which no evaluation is known to have written",
    "ROOT/run": "holds the metrics of training",
}


@EITHER
@pytest.mark.parametrize("layout", ["report", "mex-a3t"])
@pytest.mark.parametrize("folder", EVALUATE)
def test_an_evaluation_does_not_come_into_a_folder_of_others(
    users: Path, capsys: pytest.CaptureFixture[str], folder: str, layout: str, flags: list[str]
) -> None:
    if layout == "mex-a3t" and folder == "ROOT/run":
        pytest.skip("a submission takes no run")
    (users / "predicted").mkdir()
    (users / "p.parquet").rename(users / "predicted" / "part-00000.parquet")
    line = EpochMetrics(1, 1.0, None, {}, 0.0, 0.1, 1.0)
    (users / "run" / "metrics.jsonl").write_text(json.dumps(asdict(line)) + "\n")
    run = ["--run", "ROOT/run"] if layout == "report" else []
    said = refused(
        users, capsys, "evaluate", "ROOT/data/part-00000.parquet", "-p", "ROOT/predicted", "-o",
        folder, "--format", layout, "--image-root", "ROOT", *run, *flags,
    )  # fmt: skip
    assert EVALUATE[folder] in said


TRAIN = {
    ("ROOT",): "holds the manifest",
    ("ROOT/data", "--image-root", "ROOT"): "holds the manifest",
    ("ROOT/run",): "train.toml exists and is not the settings of a training",
    ("ROOT/notes.txt",): "is a file",
    ("ROOT/manifests", "--val", "ROOT/manifests", "--image-root", "ROOT"): "holds the manifest",
    ("ROOT/init", "--init", "ROOT/init/model.safetensors"): "holds the initial weights",
    ("ROOT/init", "--schema", "ROOT/init/schema.toml"): "holds the schema",
    ("ROOT/init", "--config", "ROOT/init/train.toml"): "holds the settings",
    ("ROOT/init",): "init/train.toml exists and is not the settings of a training",
}


@EITHER
@pytest.mark.parametrize("arguments", TRAIN)
def test_train_replaces_nothing_but_earlier_runs(
    users: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], flags: list[str]
) -> None:
    sentence = TRAIN[arguments]
    if "--schema" not in arguments:
        arguments = (*arguments, "--schema", "ROOT/schema.toml")
    (users / "init").mkdir()
    shutil.copyfile(users / "model.safetensors", users / "init" / "model.safetensors")
    shutil.copyfile(users / "schema.toml", users / "init" / "schema.toml")
    shutil.copyfile(users / "config.toml", users / "init" / "train.toml")
    manifest = "ROOT/data" if arguments[0] == "ROOT/data" else "ROOT/m.parquet"
    folder, *others = arguments
    said = refused(users, capsys, "train", manifest, "-o", folder, *others, *flags)
    assert sentence in said


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "metrics.jsonl", "state.safetensors"])
def test_no_file_of_others_in_the_folder_of_a_run_is_replaced(users: Path, name: str) -> None:
    folder = users / "new"
    folder.mkdir()
    write_settings(folder / "train.toml", "m.parquet", TrainOptions())
    (folder / name).write_text("# Model card: mine\n\nprecious\n")
    before = snapshot(users)
    with pytest.raises(OutputError, match=rf"{name} exists and is not"):
        prepare_folder(folder, Inputs(), FolderOptions(overwrite=True))
    assert snapshot(users) == before


def test_the_frames_that_training_keeps_make_no_room_by_removing_folders_of_others(
    users: Path,
) -> None:
    from tweetprofile.training.cache_folders import make_room, remove_abandoned

    destination = users / "cache"
    for name, files in {
        "thesis.tmp": ("lock", "thesis.tex"),
        "0" * 32 + ".abc.tmp": ("lock",),
        "thesis": ("cache.json", "frames.uint8"),
        "1" * 32: ("cache.json", "frames.uint8", "users.npz"),
        "2" * 32: ("cache.json", "frames.uint8", "users.npz", "thesis.tex"),
    }.items():
        (destination / name).mkdir(parents=True)
        for file in files:
            (destination / name / file).write_text("{}")
    before = snapshot(users)
    remove_abandoned(destination)
    make_room(destination, 1e-9, 1000, keep=destination / "new")
    assert snapshot(users) == before


# --- in a store ----------------------------------------------------------------------------------


def objects(store: pafs.FileSystem) -> dict[str, tuple[object, bytes]]:
    """Time and content of all in the bucket."""
    found = store.get_file_info(pafs.FileSelector("dumps", recursive=True))
    files = [info for info in found if info.type == pafs.FileType.File]
    return {info.path: (info.mtime_ns, store.open_input_file(info.path).read()) for info in files}


@pytest.mark.slow
@EITHER
@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("s3://dumps/a/", "holds the manifest"),
        ("s3://dumps/a", "holds the manifest"),
        ("s3://dumps/mixed", "is a folder where a file is asked for"),
        ("s3://dumps//a/", "holds the manifest"),
        ("s3://dumps/a/m.parquet", "is the manifest"),
        ("s3://dumps/a/new.parquet", "would become part of the manifest"),
        ("s3://dumps/a/dump/", "holds more"),
        ("s3://dumps/a/dump/ada/1.png", "is not a table of predictions"),
        ("s3://dumps/mixed/", "notes.txt is not a table of predictions"),
        ("s3://dumps/deep/", "is not a table of predictions"),
    ],
)
def test_what_stands_in_a_store_is_replaced_only_if_all_of_it_are_predictions(
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
    assert sentence.replace("holds more", "is not a table of predictions") in said
    assert objects(store) == before


@pytest.mark.slow
def test_an_earlier_output_in_a_store_is_replaced_by_its_names(
    users: Path, store: pafs.FileSystem
) -> None:
    for out in ("s3://dumps/out/", "s3://dumps/out.parquet", "s3://dumps/out.csv"):
        write_profiles(out)
        with pytest.raises(OutputError, match="exists; choose another name or add --overwrite"):
            write_profiles(out)
        before = objects(store)
        write_profiles(out, overwrite=True)
        assert objects(store).keys() == before.keys()
        assert objects(store) != before


@pytest.mark.slow
def test_what_came_into_a_store_meanwhile_is_not_replaced(
    users: Path, store: pafs.FileSystem
) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=True)
    table = SCHEMA.empty_table()
    with (
        pytest.raises(WriteError, match=r"notes\.txt is not .* same command with --resume"),
        ProfileWriter("s3://dumps/late/", SCHEMA, record, 1) as writer,
    ):
        writer.write(0, table, Counts())
        with store.open_output_stream("dumps/late/notes.txt") as file:
            file.write(b"precious")
        before = objects(store)
        writer.finish()
    assert objects(store) == before


# --- between the check and the rename -------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out/"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_came_while_users_were_predicted_is_not_replaced(
    tmp_path: Path, name: str, *, overwrite: bool
) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=overwrite)
    out = tmp_path / name
    with (
        pytest.raises(WriteError, match="--resume"),
        ProfileWriter(f"{tmp_path}/{name}", SCHEMA, record, 1) as writer,
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


def test_a_file_that_comes_into_the_folder_of_a_run_stays(tmp_path: Path) -> None:
    record = RunRecord.new({"network": "model1"}, overwrite=False)
    with ProfileWriter(f"{tmp_path}/out.parquet", SCHEMA, record, 1) as writer:
        writer.write(0, SCHEMA.empty_table(), Counts())
        (tmp_path / "out.parquet.partial" / "notes.txt").write_text("precious")
        writer.finish()
    assert (tmp_path / "out.parquet.partial" / "notes.txt").read_text() == "precious"


def test_a_run_of_version_0_1_0_is_recognised(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "train.toml").write_text(
        "# tweetprofile 0.1.0: every setting of this run.\n\nseed = 0\n"
    )
    shutil.copyfile(model, run / "model.safetensors")
    (run / "MODEL_CARD.md").write_text(
        "# Model card: model1, mood\n\nMade by tweetprofile 0.1.0. The network model1 takes up\n"
    )
    line: dict[str, object] = {
        "epoch": 1, "loss": 1.0, "val_loss": None, "scores": {}, "mean_macro_f1": 0.0,
        "learning_rate": 0.1, "seconds": 1.0,
    }  # fmt: skip
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    prepare_folder(run, Inputs(), FolderOptions(resume=True))
    prepare_folder(run, Inputs(), FolderOptions(overwrite=True))
    assert not (run / "model.safetensors").exists()


# --- whatever stands there ------------------------------------------------------------------------


@dataclass
class World:
    """A folder in which things have been put at some names, and who has put them there.

    Attributes:
        root: the folder, with the users' images and manifest in it.
        owners: of a path, the command whose earlier output it is, with all that is below it.
    """

    root: Path
    owners: dict[Path, str] = field(default_factory=dict)

    def owner(self, path: Path) -> str | None:
        """The command whose earlier output a path is, or is in."""
        owned = (each for each in (path, *path.parents) if each in self.owners)
        return next(map(self.owners.__getitem__, owned), None)


NAMES = ["a", "b", "c.csv", "m.parquet", "dump", "dump/ada/1.png", "labels.csv", "data"]
SIDES = ["", ".partial", ".skipped.csv", ".worker-0.log", ".json"]

Put = Callable[[World, Path, str], object]


def put_link(world: World, path: Path, other: str) -> None:
    path.symlink_to(world.root / other)


def put_hard_link(world: World, path: Path, other: str) -> None:
    if (world.root / other).is_file():
        path.hardlink_to(world.root / other)
        if (owner := world.owner(world.root / other)) is not None:
            world.owners[path] = owner


def put_socket(world: World, path: Path, other: str) -> None:
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):  # of long paths there is none
        made.bind(str(path))


def put_folder(world: World, path: Path, other: str) -> None:
    path.mkdir()
    for name in ("run.json", "part-00000.parquet", "train.toml", ".tweetprofile.json"):
        (path / name).write_text("{}")


def put_earlier(world: World, path: Path, other: str) -> None:
    """An earlier output of one of the commands, as `other` has it."""
    command = sorted(COMMANDS)[NAMES.index(other) % len(COMMANDS)]
    before = snapshot(world.root)
    with suppress(TweetprofileError):
        COMMANDS[command](world, path, world.root / "m.parquet", False, False)
    for new in snapshot(world.root).keys() - before.keys():
        world.owners[new] = command.partition(" ")[0]


def put_unfinished(world: World, path: Path, other: str) -> None:
    before = snapshot(world.root)
    with suppress(TweetprofileError):
        leave_unfinished(path)
    for new in snapshot(world.root).keys() - before.keys():
        world.owners[new] = "predict"


PUTS: dict[str, Put] = {
    "text": lambda world, path, other: path.write_text("precious"),
    "nothing in it": lambda world, path, other: path.touch(),
    "a pipe": lambda world, path, other: os.mkfifo(path),
    "a folder": put_folder,
    "an empty folder": lambda world, path, other: path.mkdir(),
    "a link": put_link,
    "a hard link": put_hard_link,
    "a socket": put_socket,
    "an earlier output": put_earlier,
    "an unfinished run": put_unfinished,
}

Command = Callable[[World, Path, Path, bool, bool], None]


def predict(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    write_profiles(out, overwrite=overwrite, resume=resume, inputs=inputs)


def predict_parts(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    write_profiles(f"{out}/", overwrite=overwrite, resume=resume, inputs=inputs)


def keep_logs(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    check_logs(out, inputs_of(Manifest.open(manifest)))
    with open_log(out, 0) as log:
        log.write(b"noise\n")


def statistics(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    check_stats(out, Destination.of(f"{world.root}/p.parquet"), inputs, overwrite=overwrite)
    write_stats(out, PredictSummary("p", Counts(), 1.0, FACTS), overwrite=overwrite)


def import_folder(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    labels = manifest if manifest.suffix == ".csv" else None
    options = ImportOptions(overwrite=overwrite, labels=labels, min_images=1 + resume)
    import_dump("folder", world.root / "dump", out, options)


def embed(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    options = ImportOptions(overwrite=overwrite, embed=True)
    import_dump("folder", world.root / "dump", f"{out}/", options)


def draw(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    check_file(out, Kind.SHEET, inputs_of(Manifest.open(manifest)), overwrite=overwrite)
    _write_png(out, Sheet("ada", "", (16, 16), ()), overwrite=overwrite)


def evaluate(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    prepare_evaluation(out, overwrite=overwrite, inputs=inputs_of(Manifest.open(manifest)))
    name = "tables/mood.csv" if resume else "report.html"
    write_files(out, {"metrics.json": b"{}", name: os.urandom(8)})


def train(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    prepare_folder(out, inputs, FolderOptions(overwrite, resume))
    write_settings(out / "train.toml", manifest, TrainOptions())
    write_card(
        out / "MODEL_CARD.md", "# Model card: a, b\n\nMade by tweetprofile 1. The network \n"
    )
    save_checkpoint(out / "model.safetensors", NETWORK, {})


COMMANDS: dict[str, Command] = {
    "predict": predict,
    "predict parts": predict_parts,
    "predict --debug": keep_logs,
    "predict --stats": statistics,
    "import": import_folder,
    "import --embed": embed,
    "inspect": draw,
    "evaluate": evaluate,
    "train": train,
}

THINGS = st.tuples(
    st.sampled_from(NAMES[:3]),
    st.sampled_from(SIDES),
    st.sampled_from(sorted(PUTS)),
    st.sampled_from(NAMES),
)


def attack(root: Path, things: list[tuple[str, str, str, str]], run: tuple[object, ...]) -> None:
    """Put things into a folder, run a command, and see that it has changed nothing of others."""
    command, out, source, overwrite, resume = run
    world = World(root)
    for name, side, put, other in things:
        path = root / f"{name}{side}"
        if not os.path.lexists(path):
            PUTS[put](world, path, other)
    before = snapshot(root)
    with suppress(TweetprofileError):
        COMMANDS[str(command)](world, root / str(out), root / str(source), overwrite, resume)  # type: ignore[arg-type]
    after = snapshot(root)
    ours = str(command).partition(" ")[0]
    for path, facts in before.items():
        if after.get(path) != facts:
            assert world.owner(path) == ours, f"{path} is no earlier output of {ours}"
            assert overwrite or resume or command in ALWAYS, f"{path} was replaced unasked"
            read = ours != "import" and path.is_relative_to(root / str(source))
            assert not read, f"{path} is read"
    assert not [path for path in after if path.name.startswith(".tweetprofile-")]


ALWAYS = ("predict --debug", "train")
"""Commands that go on with a log, and with a run that has ended before its first epoch."""

RUNS = st.tuples(
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from([*NAMES, "data/new.parquet", "dump/new", "new", "a.partial", "."]),
    st.sampled_from(["m.parquet", "data", "labels.csv", "a"]),
    st.booleans(),
    st.booleans(),
)


@pytest.fixture(scope="module")
def worlds(drawn_users: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path, as names of sockets must be."""
    destination = tmp_path_factory.mktemp("w")
    yield destination
    shutil.rmtree(destination)


def attack_anew(
    drawn_users: Path,
    destination: Path,
    things: list[tuple[str, str, str, str]],
    run: tuple[object, ...],
) -> None:
    root = destination / "w"
    shutil.copytree(drawn_users, root)
    try:
        attack(root, things, run)
    finally:
        shutil.rmtree(root)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(things=st.lists(THINGS, max_size=5), run=RUNS)
def test_nothing_of_others_is_changed(
    drawn_users: Path,
    worlds: Path,
    things: list[tuple[str, str, str, str]],
    run: tuple[object, ...],
) -> None:
    attack_anew(drawn_users, worlds, things, run)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(things=st.lists(THINGS, max_size=8), run=RUNS)
def test_nothing_of_others_is_changed_however_often_that_is_tried(
    drawn_users: Path,
    worlds: Path,
    things: list[tuple[str, str, str, str]],
    run: tuple[object, ...],
) -> None:
    attack_anew(drawn_users, worlds, things, run)


KEYS = ["part-00000.parquet", "part-1.parquet", "notes.txt", "b/part-0.parquet", "run.json", ""]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stored=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["ours", "text", "manifest"])),
    out=st.sampled_from(["s3://dumps/x/", "s3://dumps/x", "s3://dumps/x/b/", "s3://dumps/"]),
    overwrite=st.booleans(),
    resume=st.booleans(),
)
def test_nothing_of_others_is_changed_in_a_store(
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
