"""The runs below a folder are listed with their scores, whatever state they are in."""

import json
from pathlib import Path

import pytest

from tests.runs.folders import finished_run, scores_of, unfinished_run
from tweetprofile.errors import OptionError
from tweetprofile.runs.listing import ListOptions, RunList, list_runs
from tweetprofile.training.folds import write_folds
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions


def names(listed: RunList) -> list[str]:
    return [listed.name_of(run) for run in listed.runs]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    finished_run(folder / "early", {"gender": 0.6, "location": 0.2})
    finished_run(folder / "deeper/late", {"gender": 0.5, "location": 0.4}, seed=2)
    unfinished_run(folder / "stopped", 0.3, 0.7, 0.4)
    return folder


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("mean", ["stopped", "deeper/late", "early"]),
        ("gender", ["stopped", "early", "deeper/late"]),
        ("location", ["deeper/late", "early", "stopped"]),
        ("name", ["deeper/late", "early", "stopped"]),
        ("date", ["stopped", "deeper/late", "early"]),
        ("users", ["deeper/late", "early", "stopped"]),
    ],
)
def test_runs_are_sorted_by_score_date_size_or_name(
    three: Path, sort: str, order: list[str]
) -> None:
    assert names(list_runs(three, ListOptions(sort=sort))) == order


@pytest.mark.slow
def test_a_run_is_described_as_its_training_described_it(drawn_dump: Path, tmp_path: Path) -> None:
    options = TrainOptions(epochs=2, frame_size=16, batch_size=4, devices="cpu")
    summary = train_manifest(drawn_dump / "train.parquet", tmp_path / "run", options)
    (run,) = list_runs(tmp_path).runs
    assert run.status == "finished"
    assert run.model == "deepset"
    assert (run.users, run.val_users, run.epochs) == (summary.users, summary.val_users, 2)
    assert run.kept_epochs == summary.kept_epochs
    assert run.scores == summary.best.scores
    assert run.calibration_errors == {
        name: each.ece_after for name, each in summary.calibration.items()
    }
    assert run.mean("macro-f1") == pytest.approx(summary.best.mean_macro_f1)


def test_an_interrupted_run_shows_its_best_epoch_so_far(tmp_path: Path) -> None:
    folder = unfinished_run(tmp_path / "run", 0.3, 0.7, 0.4)
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 4, "lo')  # it was killed while it wrote
    (run,) = list_runs(folder).runs
    assert run.status == "unfinished"
    assert run.reason == "3 of at most 40 epochs done"
    assert run.kept_epochs == (2,)
    assert run.score("gender", "macro-f1") == 0.7
    assert run.score("gender", "accuracy") == pytest.approx(0.8)


def test_an_interrupted_cross_validation_shows_how_many_folds_are_done(tmp_path: Path) -> None:
    folder = unfinished_run(tmp_path / "run", folds=5)
    (folder / "state.safetensors").unlink()  # the training itself has not begun
    (before,) = list_runs(folder).runs
    assert before.reason == "0 of 5 folds done"
    write_folds(folder, {}, [scores_of({"gender": 0.4})] * 2)
    (during,) = list_runs(folder).runs
    assert (during.status, during.reason) == ("unfinished", "2 of 5 folds done")


def test_the_training_after_a_cross_validation_shows_its_epochs(tmp_path: Path) -> None:
    folder = unfinished_run(tmp_path / "run", 0.3, 0.7, folds=2)
    write_folds(folder, {}, [scores_of({"gender": 0.4})] * 2)
    (run,) = list_runs(folder).runs
    assert run.reason == "2 of 2 folds done, 2 of at most 40 epochs done"


def test_a_damaged_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    finished_run(tmp_path / "good", {"gender": 0.5})
    cut = finished_run(tmp_path / "cut", {"gender": 0.5}) / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-10])
    lines = unfinished_run(tmp_path / "lines", 0.5) / "metrics.jsonl"
    lines.write_text(lines.read_text() + "{}\n")
    folds = unfinished_run(tmp_path / "folds", folds=2)
    write_folds(folds, {}, [])
    written = json.loads((folds / "folds.json").read_text())
    (folds / "folds.json").write_text(json.dumps(written | {"folds": [3]}, indent=1))
    settings = unfinished_run(tmp_path / "settings", 0.5) / "train.toml"
    settings.write_text(settings.read_text() + "epochs = twice\n")
    listed = list_runs(tmp_path, ListOptions(sort="name"))
    reasons = {listed.name_of(run): run.reason or "" for run in listed.runs}
    assert reasons["good"] == ""
    assert reasons["cut"].startswith("model.safetensors is not a readable safetensors file")
    assert "line 2 of metrics.jsonl lacks 'epoch'" in reasons["lines"]
    assert "cannot be resumed: folds.json" in reasons["folds"]
    assert "cannot be resumed" in reasons["settings"]
    assert [name for name, reason in reasons.items() if not reason] == ["good"]
    assert {run.status for run in listed.runs if run.reason} == {"damaged"}


def test_nothing_outside_of_the_folder_is_read_and_what_is_left_out_is_counted(
    tmp_path: Path,
) -> None:
    outside = finished_run(tmp_path / "outside", {"gender": 0.9})
    folder = tmp_path / "runs"
    finished_run(folder / "a/b/run", {"gender": 0.5})
    (folder / "linked").symlink_to(outside)
    (folder / ".hidden").symlink_to(outside)
    linked_model = unfinished_run(folder / "linked-model", 0.1) / "model.safetensors"
    linked_model.symlink_to(outside / "model.safetensors")
    (folder / "foreign").mkdir()
    (folder / "foreign/model.safetensors").write_bytes(b"of another program")
    listed = list_runs(folder, ListOptions(depth=2))
    assert names(listed) == ["linked-model"]
    assert listed.runs[0].reason == "model.safetensors is a symbolic link, which is not followed"
    assert (listed.left_out.links, listed.left_out.foreign, listed.left_out.too_deep) == (1, 1, 1)
    assert "a/b/run" in names(list_runs(folder))


def test_what_decided_on_the_held_out_users_is_compared(tmp_path: Path) -> None:
    finished_run(tmp_path / "one", {"gender": 0.5}, seed=1)
    assert list_runs(tmp_path).same_held_out
    finished_run(tmp_path / "two", {"gender": 0.5}, seed=2)
    assert not list_runs(tmp_path).same_held_out


def test_users_who_are_held_out_in_turn_are_others_than_a_tenth_of_them(tmp_path: Path) -> None:
    finished_run(tmp_path / "tenth", {"gender": 0.5})
    finished_run(tmp_path / "all", {"gender": 0.5}, held_out_in_turn=True, val_users=1500)
    assert not list_runs(tmp_path).same_held_out


def test_the_users_of_one_validation_manifest_are_the_same_whatever_else_differs(
    tmp_path: Path,
) -> None:
    for seed in (1, 2):
        settings = {"manifest": f"digest {seed}", "seed": seed, "val": "the digest of a manifest"}
        finished_run(tmp_path / f"run-{seed}", {"gender": 0.5}, seed, settings=settings)
    assert list_runs(tmp_path).same_held_out


def test_a_score_with_a_field_of_a_later_version_is_listed(tmp_path: Path) -> None:
    score = {"accuracy": 0.6, "macro_f1": 0.5, "majority": 0.5, "users": 40, "kappa": 0.1}
    finished_run(tmp_path / "run", {}, best={"epoch": 7, "scores": {"gender": score}})
    (run,) = list_runs(tmp_path).runs
    assert run.score("gender", "macro-f1") == 0.5


def test_only_columns_and_traits_can_be_sorted_by(three: Path) -> None:
    with pytest.raises(OptionError, match=r"give one of mean, name, date, users, gender, location"):
        list_runs(three, ListOptions(sort="age"))


def test_the_list_is_json_in_which_unknown_scores_are_null(three: Path) -> None:
    facts = json.loads(json.dumps(list_runs(three).to_dict(), allow_nan=False))
    stopped = facts["runs"][0]
    assert stopped["name"] == "stopped"
    assert stopped["users"] is None
    assert stopped["mean"]["macro_f1"] == 0.7
    assert facts["runs"][1]["calibration_errors"] == {"gender": 0.05, "location": 0.05}
