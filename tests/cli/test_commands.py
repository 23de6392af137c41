"""Every error is one sentence on stderr that names the cause, with the right exit code."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.random_models import save_head
from tweetprofile.checkpoints.choice import CHECKPOINT_VARIABLE
from tweetprofile.cli import main


@pytest.fixture(autouse=True)
def no_model_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def manifest(dump: Path) -> Path:
    return dump / "test.parquet"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def write_manifest(path: Path, **columns: pa.Array | list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


# --- predict -----------------------------------------------------------------------------------


def test_predict_writes_one_row_per_user_and_a_summary(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.parquet"
    assert run("predict", manifest, "-o", out, "--checkpoint", model) == 0
    frame = pl.read_parquet(out)
    assert frame["user_id"].to_list() == pl.read_parquet(manifest)["user_id"].to_list()
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith(f"{frame.height} users (")
    assert f"{frame['images_failed'].sum()} failed" in last
    assert last.endswith(f"-> {out}")


def test_quiet_prints_nothing(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", manifest, "-o", tmp_path / "out", "--checkpoint", model, "--quiet") == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", manifest, "-o", tmp_path / "out", "--checkpoint", model, "--dry-run") == 0
    said = capsys.readouterr().err
    assert "form: paths" in said
    assert "gender, location, occupation" in said
    assert not (tmp_path / "out").exists()


def test_predict_uses_and_names_the_checkpoint_of_the_environment_variable(
    manifest: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(CHECKPOINT_VARIABLE, str(model))
    assert run("predict", manifest, "-o", tmp_path / "out") == 0
    assert str(model) in capsys.readouterr().err


WRONG_MANIFESTS = {
    "nowhere": "nowhere does not exist",
    "text.parquet": "text.parquet is not a readable Parquet file",
    "no_id.parquet": "no column 'user_id'",
    "no_images.parquet": "no column 'images'",
    "numbers.parquet": "'images' is list<element: int64>",
    "no_list.parquet": "'images' is string",
    "float_id.parquet": "'user_id' is double",
    "null_id.parquet": "row 1 has no user_id",
    "https://server/m.parquet": "only s3:// and gs:// URIs are supported",
}
"""Maps the name of an unusable manifest to what the message must contain."""


def write_wrong_manifests(folder: Path) -> None:
    paths = [["a.jpg"]]
    (folder / "text.parquet").write_text("user_id,images")
    write_manifest(folder / "no_id.parquet", images=paths)
    write_manifest(folder / "no_images.parquet", user_id=["a"])
    write_manifest(folder / "numbers.parquet", user_id=["a"], images=[[1, 2]])
    write_manifest(folder / "no_list.parquet", user_id=["a"], images=["a.jpg"])
    write_manifest(folder / "float_id.parquet", user_id=[0.5], images=paths)
    write_manifest(folder / "null_id.parquet", user_id=["a", None], images=[["a"], ["b"]])


@pytest.mark.parametrize("name", WRONG_MANIFESTS)
def test_an_unusable_manifest_is_one_sentence_and_exit_code_2(
    name: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_wrong_manifests(tmp_path)
    code = run("predict", name, "-o", "out.parquet", "--checkpoint", model)
    assert_refused(code, WRONG_MANIFESTS[name], capsys)


WRONG_OPTIONS = {
    "--checkpoint none": "none does not exist",
    "--checkpoint foreign.safetensors": "foreign.safetensors is not a readable safetensors file",
    "--out taken": "taken exists and is not a table of predictions that tweetprofile wrote, so",
    "--out no/out": "does not exist; make it first",
    "--image-root no": "no is not a folder; give one with --image-root",
    "--devices tpu": "--devices is 'tpu'; give auto",
    "--fast": "No such option '--fast'",
    "--decoder magick": "'magick' is not one of",
    "--keep age": "has no column 'age'",
    "--stats taken": "taken exists and is not a file of statistics that tweetprofile wrote, so",
    "--stats no/stats.json": "make it first",
}
"""Maps an unusable option to what the message must contain."""


@pytest.mark.parametrize("option", WRONG_OPTIONS)
def test_an_unusable_option_is_one_sentence_and_exit_code_2(
    option: str,
    manifest: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign.safetensors").write_text("no tensors here")
    (tmp_path / "taken").touch()
    usual = ["-o", "out.parquet", "--checkpoint", model]
    code = run("predict", manifest, *usual, *option.split())
    assert_refused(code, WRONG_OPTIONS[option], capsys)


def test_without_output_or_checkpoint_is_one_sentence_and_exit_code_2(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(run("predict", manifest), "Missing option '--out' / '-o'", capsys)
    code = run("predict", manifest, "-o", tmp_path / "out.parquet")
    assert_refused(code, "'tweetprofile train' makes one", capsys)


def assert_refused(code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that a command ended with exit code 2 and one line on stderr, with `sentence`."""
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("tweetprofile: ")
    assert sentence in line
    assert "Traceback" not in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_on_a_machine_without_it_is_one_sentence_and_exit_code_2(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", tmp_path / "out", "--checkpoint", model]
    assert run("predict", manifest, *out, "--devices", "cuda") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no usable CUDA device; pass --devices cpu" in line


def test_an_empty_manifest_gives_an_empty_output_and_exit_code_0(
    model: Path, tmp_path: Path
) -> None:
    empty = write_manifest(
        tmp_path / "empty.parquet",
        user_id=pa.array([], pa.string()),
        images=pa.array([], pa.list_(pa.string())),
    )
    assert run("predict", empty, "-o", tmp_path / "out", "--checkpoint", model) == 0
    assert pl.read_parquet(tmp_path / "out").height == 0


def test_too_many_failed_images_give_exit_code_3_and_a_complete_output(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["-o", out, "--checkpoint", model, "--max-failed", "0.001"]
    assert run("predict", manifest, *arguments) == 3
    assert "more than --max-failed 0.001 allows" in capsys.readouterr().err
    assert pl.read_parquet(out).height == pl.read_parquet(manifest).height


def test_stats_are_written_whether_or_not_too_many_images_failed(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    for share, code in ((1.0, 0), (0.0, 3)):
        out, stats = tmp_path / f"{code}.parquet", tmp_path / f"{code}.json"
        arguments = ["-o", out, "--checkpoint", model, "--max-failed", share, "--stats", stats]
        assert run("predict", manifest, *arguments) == code
        said = json.loads(stats.read_text())
        assert said["users"] == pl.read_parquet(out).height
        assert said["failed"] > 0
        assert {"read", "decode", "forward", "write"} <= set(said["seconds_by_stage"])
        assert said["bound"] in said["seconds_by_stage"]


def test_debug_shows_where_an_error_came_from(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere.parquet"
    assert run("predict", missing, "-o", tmp_path / "out", "--checkpoint", model, "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_failed_write_is_one_sentence_and_exit_code_1(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    def limit_file_size() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    arguments = ["predict", manifest, "-o", tmp_path / "out", "--checkpoint", model]
    done = subprocess.run(
        [sys.executable, "-m", "tweetprofile", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_file_size,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def interrupted(
    arguments: list[object], number: int, is_time: Callable[[], bool], stderr: Path
) -> tuple[int, str]:
    """Run a command, send it a signal when it is time; return its exit code and stderr."""
    command = [sys.executable, "-m", "tweetprofile", *map(str, arguments)]
    # A file: a pipe that nobody reads would fill up and block the command.
    with stderr.open("wb") as printed, subprocess.Popen(command, stderr=printed) as process:
        try:
            deadline = time.monotonic() + 300
            while not is_time():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(process.pid, number)
            process.wait(timeout=30)
        finally:
            process.kill()  # of no effect if it has ended
    return process.returncode, stderr.read_text()


def test_ctrl_c_gives_exit_code_130_and_leaves_nothing(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    many = pl.concat([pl.read_parquet(manifest)] * 400).with_columns(user_id=pl.int_range(pl.len()))
    many.write_parquet(manifest.parent / "many.parquet")
    out = tmp_path / "out" / "profiles.parquet"
    out.parent.mkdir()
    arguments = ["predict", manifest.parent / "many.parquet", "-o", out, "--checkpoint", model]
    code, said = interrupted(
        arguments, signal.SIGINT, lambda: bool(list(out.parent.iterdir())), tmp_path / "stderr"
    )
    assert code == 130
    assert "interrupted" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert list(out.parent.iterdir()) == []


# --- train and info ----------------------------------------------------------------------------

QUICK = ["--epochs", "1", "--frame-size", "16", "--batch-size", "4", "--devices", "cpu"]


def test_after_train_and_use_predict_needs_no_checkpoint(
    dump: Path,
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    run_folder = tmp_path / "run"
    assert run("train", dump / "train.parquet", "-o", run_folder, *QUICK) == 0
    said = capsys.readouterr().err
    assert "gender: female, male" in said
    assert "  1/1  " in said
    assert sorted(path.name for path in run_folder.iterdir()) == [
        "MODEL_CARD.md",
        "metrics.jsonl",
        "model.safetensors",
        "train.toml",
    ]
    assert run("use", run_folder) == 0
    assert run("predict", manifest, "-o", tmp_path / "out") == 0
    assert pl.read_parquet(tmp_path / "out").height == pl.read_parquet(manifest).height


def test_train_repeats_a_run_from_its_train_toml(dump: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("train", dump / "train.parquet", "-o", first, *QUICK, "--seed", "5") == 0
    assert run("train", "--config", first / "train.toml", "-o", second) == 0
    losses = [
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])["loss"]
        for folder in (first, second)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (first / "train.toml").read_text() == (second / "train.toml").read_text()


def test_an_unknown_setting_of_train_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.toml").write_text("epoks = 3\n")
    assert run("train", "--config", tmp_path / "wrong.toml", "-o", tmp_path / "run") == 2
    assert "'epoks', which is not a setting of train" in capsys.readouterr().err


def test_an_unknown_class_is_named_with_its_row_and_column(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.read_parquet(dump / "train.parquet")
    genders = frame["gender"].to_list()
    genders[4] = "femal"
    wrong = dump / "wrong.parquet"
    frame.with_columns(gender=pl.Series(genders)).write_parquet(wrong)
    arguments = ["-o", tmp_path / "run", *QUICK, "--schema", "mex-a3t-2019"]
    assert run("train", wrong, *arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "row 4, column 'gender': 'femal' is not a class of the schema (female, male)" in line


def test_a_finished_run_is_kept_without_overwrite(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", dump / "train.parquet", "-o", tmp_path / "run", *QUICK]
    assert run(*arguments) == 0
    assert run(*arguments) == 2
    assert "already holds a finished run" in capsys.readouterr().err
    assert run(*arguments, "--overwrite") == 0


def test_ctrl_c_in_training_gives_exit_code_130_and_says_how_to_resume(
    dump: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", dump / "train.parquet", "-o", tmp_path / "run", *QUICK, "--epochs"]
    state = tmp_path / "run" / "state.safetensors"
    code, said = interrupted(
        [*arguments, "100000"], signal.SIGTERM, state.exists, tmp_path / "stderr"
    )
    assert code == 130
    assert said.splitlines()[-1].endswith(
        f"run the same command with --resume to continue {tmp_path / 'run'}."
    )


def test_missing_initial_weights_are_refused_before_any_work(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", dump / "train.parquet", "-o", tmp_path / "run", *QUICK]
    assert run(*arguments, "--init", tmp_path / "none.safetensors") == 2
    assert "none.safetensors does not exist" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_training_starts_from_a_checkpoint_and_lists_the_weights_that_differ(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", dump / "train.parquet", *QUICK]
    assert run(*arguments, "-o", tmp_path / "first", "--schema", "mex-a3t-2019") == 0
    frame = pl.read_parquet(dump / "train.parquet")
    moods = pl.Series(["calm", "cross"] * frame.height)[: frame.height]
    frame.select("user_id", "images", mood=moods).write_parquet(dump / "moods.parquet")
    weights = tmp_path / "first" / "model.safetensors"
    arguments = ["train", dump / "moods.parquet", *QUICK, "--init", weights]
    capsys.readouterr()
    assert run(*arguments, "-o", tmp_path / "second") == 0
    said = capsys.readouterr().err
    assert "initialised at random: heads.head_mood.weight, heads.head_mood.bias" in said
    assert "not used: heads.head_gender.bias" in said


def test_info_describes_a_checkpoint(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", model) == 0
    table = capsys.readouterr().out
    assert "model1" in table
    assert "female, male" in table
    assert "detail frame" in table
    assert run("info", model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"]["gender"] == ["female", "male"]
    assert facts["volume"]["detail"] == "frame"


@pytest.mark.parametrize(
    ("pool", "how"),
    [
        ("topics", "frames are of 6 topics, each chosen for one trait or none"),
        ("clusters", "frames are counted by 6 clusters"),
        ("sum", "a layer of 6, then the sum over frames"),
    ],
)
def test_info_says_how_a_head_reads_frames(
    pool: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", save_head(tmp_path / "model.safetensors", pool)) == 0
    assert how in " ".join(capsys.readouterr().out.split())


def test_info_without_a_checkpoint_gives_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 2
    assert "'tweetprofile train' makes one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "meant"),
    [("predcit", "predict"), ("Predict", "predict"), ("inspekt", "inspect"), ("eval", "evaluate"),
     ("imoprt", "import")],
)  # fmt: skip
def test_a_mistyped_command_gets_a_suggestion(
    told: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([told, "m.parquet"]) == 2
    said = capsys.readouterr().err
    assert f"there is no command '{told}'; did you mean '{meant}'? See 'tweetprofile --he" in said


def test_an_unknown_command_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert (
        "there is no command 'xyzzy'; the commands are import, inspect, split, train"
        in capsys.readouterr().err
    )


def test_a_mistyped_option_or_layout_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    for told, meant in {
        ("predict", "m.parquet", "-o", "o", "--overwrit"): "--overwrite",
        ("import", "foldr", "dump", "-o", "m.parquet"): "folder",
    }.items():
        assert main(list(told)) == 2
        assert f"Did you mean '{meant}'? See 'tweetprofile" in capsys.readouterr().err


def test_a_run_folder_can_be_given_as_the_checkpoint(
    dump: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, out = str(dump / "test.parquet"), str(tmp_path / "out.parquet")
    told = ["predict", manifest, "-o", out, "--dry-run", "--devices", "cpu", "--checkpoint"]
    (tmp_path / "run").mkdir()
    assert main([*told, str(tmp_path / "run")]) == 2
    assert "is a folder without model.safetensors" in capsys.readouterr().err
    shutil.copyfile(model, tmp_path / "run" / "model.safetensors")
    assert main([*told, str(tmp_path / "run")]) == 0
    assert "run/model.safetensors" in capsys.readouterr().err
