"""`runs` shows a table that fits the terminal, and keeps people's attention on the scores."""

import json
from pathlib import Path

import pytest

from tests.runs.folders import finished_run, unfinished_run
from tweetprofile.cli import main, runs_view
from tweetprofile.cli.console import SafeConsole
from tweetprofile.cli.shortening import cut_middle

LONG = {"political_orientation_left_right": 0.5, "socioeconomic_status": 0.4, "occupation": 0.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    finished_run(folder / "experiments-with-long-names/second-try", LONG)
    finished_run(folder / "first\x1b[31m", {"occupation": 0.5}, seed=1)
    unfinished_run(folder / "stopped", 0.3)
    return folder


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["runs", str(folder), *arguments]) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_table_has_a_row_per_run_within_80_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_view, "OUTPUT", SafeConsole(width=80))
    lines = shown(folder, capsys)
    assert max(map(len, lines)) <= 80
    heading, best, second, stopped = lines[:4]
    assert heading.split()[:5] == ["run", "finished", "model", "users", "epoch"]
    assert best.split()[1:] == ["2026-11-11", "deepset", "1,500", "7/40", "0.50", "0.500"]
    assert second.split()[5:] == ["0.30", "0.50", "0.40", "0.400"]
    assert stopped.split()[:4] == ["stopped", "unfinished", "deepset", "1/40"]
    assert "stopped is unfinished: 1 of at most 40 epochs done; repeat its command" in " ".join(
        lines
    )
    assert "\x1b" not in "".join(lines)


def test_a_file_or_a_pipe_gets_every_column_in_full_and_a_line_per_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heading, first, second, third, *notes = shown(folder, capsys)
    assert heading.split() == ["run", "finished", "model", "users", "epoch", "occupation",
                               *list(LONG)[:2], "gender", "mean", "calib.", "error"]  # fmt: skip
    assert first.startswith("first\\x1b[31m ")
    assert second.startswith("experiments-with-long-names/second-try ")
    assert third.startswith("stopped ")
    assert len(notes) == 3  # a sentence is one line
    assert "no room for" not in "".join(notes)


@pytest.mark.parametrize("columns", [30, 40, 50, 60, 80, 100, 120, 200])
def test_the_table_fits_every_terminal_and_says_what_does_not(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
) -> None:
    monkeypatch.setattr(runs_view, "OUTPUT", SafeConsole(width=columns))
    lines = shown(folder, capsys)
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[-1] in ("mean", "error")
    assert ("no room for" in " ".join(lines)) is (columns <= 120)


def test_accuracies_are_shown_on_request_and_json_has_everything(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(folder, capsys, "--score", "accuracy")[1].split()[-2] == "0.600"
    facts = json.loads("\n".join(shown(folder, capsys, "--json")))
    assert [run["status"] for run in facts["runs"]] == ["finished", "finished", "unfinished"]
    assert facts["runs"][1]["scores"]["occupation"]["accuracy"] == pytest.approx(0.4)


def test_a_folder_without_runs_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert "there are no runs in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("gender", 6, "gender"),
        ("occupation", 8, "occ…tion"),
        ("efficientnet-lite0", 10, "effi…lite0"),
        ("experiments/with-long-names/second", 20, "experiments/…/second"),
        ("名前名前名前", 7, "名…名前"),
        ("gender", 1, "g"),
    ],
)
def test_a_long_name_loses_its_middle_at_the_ends_of_words(text: str, width: int, cut: str) -> None:
    assert cut_middle(text, width) == cut
