"""`tweetprofile evaluate` from the command line."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import polars as pl
import pytest

import tweetprofile
from tweetprofile.cli import main


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def manifest(dump: Path) -> Path:
    return dump / "test.parquet"


@pytest.fixture
def predictions(manifest: Path, model: Path, tmp_path: Path) -> Path:
    out = tmp_path / "profiles.parquet"
    assert run("predict", manifest, "-o", out, "--checkpoint", model, "-q") == 0
    return out


def test_scores_are_shown_next_to_their_baselines(
    manifest: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", manifest, "-p", predictions, "--min-confidence", "0.9") == 0
    shown = capsys.readouterr().out
    for words in ("profiles: mean macro-F1", "gender", "95% interval", "majority: ", "random"):
        assert words in shown
    assert "occupation, confidence 0.9 or more:" in shown
    assert "These users are artificial" in shown  # as the drawn manifest records
    head, *rows = shown.split(" random ")[0].splitlines()[2:]
    assert head.split() == ["accuracy", "precision", "recall", "F1", "ECE"]
    assert not any("…" in row[-50:] for row in rows)  # no figure is cut at 80 columns


def test_labels_that_stand_for_missing_values_are_reported_and_spaces_stripped(
    manifest: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users = pl.read_parquet(manifest)
    gender = [f" {label} " for label in users["gender"]]
    gender[:2] = ["", "NaN"]
    users.with_columns(pl.Series("gender", gender)).write_parquet(manifest)
    assert run("evaluate", manifest, predictions) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "gender: 2 users without a label, because of values read as missing: '' 1, 'NaN' 1" in shown
    )


def test_without_predictions_the_checkpoint_predicts_with_the_same_scores(
    manifest: Path,
    model: Path,
    predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("evaluate", manifest, predictions, "--json") == 0
    given = json.loads(capsys.readouterr().out)
    folder = tmp_path / "evaluation"
    assert run("evaluate", manifest, "--checkpoint", model, "-o", folder, "-q") == 0
    assert capsys.readouterr() == ("", "")
    found = json.loads((folder / "metrics.json").read_text())
    assert found["traits"] == given["traits"]
    assert sorted(path.name for path in folder.iterdir()) == [
        ".tweetprofile.json", "metrics.json", "plots", "predictions.parquet", "report.html",
        "tables",
    ]  # fmt: skip


def test_baselines_are_shown_and_written_beside_the_model(
    manifest: Path,
    model: Path,
    predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "evaluation"
    told = ["--checkpoint", model, "--baselines", "-o", out]
    assert run("evaluate", manifest, predictions, *told) == 0
    shown = capsys.readouterr().out
    page = (out / "report.html").read_text()
    rows = list(pl.read_csv(out / "tables" / "all-baselines.csv").iter_rows())
    facts = json.loads((out / "metrics.json").read_text())
    for name in ("majority class", "one image per user", "mean over single images"):
        assert name in shown
        assert name in page
        assert [row[0] for row in rows if row[1] == name] == ["gender", "location", "occupation"]
    assert "Every row is about the same 6 users with a label" in shown
    assert facts["baselines"]["users"] == 6


def test_several_predictions_are_compared_in_one_table_with_the_best_marked(
    manifest: Path,
    model: Path,
    predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "short.parquet"
    assert run("predict", manifest, "-o", other, "--checkpoint", model, "--limit", 2, "-q") == 0
    assert run("evaluate", manifest, predictions, other, "-o", tmp_path / "compared") == 0
    shown = capsys.readouterr().out
    assert "best: profiles" in shown
    assert "profiles is ahead of short by" in shown
    facts = json.loads((tmp_path / "compared" / "metrics.json").read_text())
    assert (facts["best"], list(facts["best_minus"])) == ("profiles", ["short"])
    assert (tmp_path / "compared" / "tables" / "gender-classes-short.csv").exists()


def test_submission_files_need_no_labels(
    dump: Path,
    manifest: Path,
    predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unlabelled = dump / "unlabelled.parquet"
    pl.read_parquet(manifest).select("user_id", "images").write_parquet(unlabelled)
    folder = tmp_path / "submission"
    assert run("evaluate", unlabelled, predictions, "--format", "mex-a3t", "-o", folder) == 0
    lines = (folder / "occupation.txt").read_text().splitlines()
    known = pl.read_parquet(predictions).drop_nulls("occupation")
    assert lines == [
        f'"occupation"\t"{user}"\t"{name}"'
        for user, name in known.select("user_id", "occupation").iter_rows()
    ]
    assert "have no prediction and no line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "mex-a3t", "--json"], "--format mex-a3t takes neither --json nor"),
        (["--format", "mex-a3t", "--min-confidence", "0.8"], "takes neither --json nor --min-conf"),
        (["--format", "mex-a3t"], "--format mex-a3t needs -o FOLDER and one set of predictions"),
        (["--baselines"], "--baselines needs --checkpoint and is about one model's scores"),
        (["--run", "."], "--run adds to the report"),
        (["--min-confidence", "2"], "2.0 is not in the range 0<=x<=1"),
        (["PREDICTIONS"], "is given twice; pass different predictions"),
        (["--predictions", "no.parquet"], "no.parquet does not exist"),
    ],
)
def test_conflicting_options_are_one_sentence_and_exit_code_2(
    arguments: list[str],
    sentence: str,
    manifest: Path,
    predictions: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = [predictions if each == "PREDICTIONS" else each for each in arguments]
    assert run("evaluate", manifest, predictions, *told) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert sentence in line


def test_missing_labels_are_refused_before_anything_is_predicted(
    dump: Path, manifest: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unlabelled = dump / "unlabelled.parquet"
    pl.read_parquet(manifest).select("user_id", "images").write_parquet(unlabelled)
    assert run("evaluate", unlabelled, "--checkpoint", model) == 2
    assert "has no label column for any trait of" in capsys.readouterr().err


def packages_without(name: str, folder: Path) -> Path:
    """Make a folder with all installed packages but one."""
    folder.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(name):
            (folder / installed.name).symlink_to(installed)
    return folder


@pytest.mark.slow
def test_without_matplotlib_the_report_is_refused_with_the_fix(
    manifest: Path, predictions: Path, tmp_path: Path
) -> None:
    packages = packages_without("matplotlib", tmp_path / "packages")
    paths = [str(packages), str(Path(tweetprofile.__file__).parents[1])]
    program = (
        f"import sys; sys.path += {paths}\n"
        "from tweetprofile.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-S", "-c", program, "evaluate", str(manifest), str(predictions)]
    report = [*command, "-o", str(tmp_path / "new")]
    done = subprocess.run(report, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "install tweetprofile[report], or evaluate without an output folder" in done.stderr
    assert not (tmp_path / "new").exists()
    assert subprocess.run([*command, "-q"], check=False).returncode == 0
