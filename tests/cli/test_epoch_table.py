"""A training shows one line per epoch, within the width of the terminal, and the best epoch."""

import re

import pytest

from tweetprofile.cli import epoch_table
from tweetprofile.cli.console import SafeConsole, clock
from tweetprofile.cli.epoch_table import EpochTable
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore

LONG_NAMES = (
    "gender_of_the_account",
    "location_by_region_of_mexico",
    "occupation_socioeconomic_group",
)


def epoch(number: int, macro_f1: float, names: tuple[str, ...] = LONG_NAMES) -> EpochMetrics:
    score = TraitScore(accuracy=macro_f1, macro_f1=macro_f1, majority=0.25, users=40)
    return EpochMetrics(
        epoch=number,
        loss=4.5,
        val_loss=4.6 if names else None,
        scores=dict.fromkeys(names, score),
        mean_macro_f1=macro_f1,
        learning_rate=0.001,
        seconds=90.0,
    )


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    return [line.rstrip() for line in printed.splitlines()]


@pytest.fixture
def of_width(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SafeConsole:
    console = SafeConsole(stderr=True, width=request.param, force_terminal=True)
    monkeypatch.setattr(epoch_table, "CONSOLE", console)
    return console


def test_each_epoch_is_a_line_with_all_traits_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    table = EpochTable(live=False)
    for number, score in enumerate((0.4, 0.6, 0.5), 1):
        table.add(epoch(number, score), 100)
    lines = lines_of(capsys)
    assert lines[1].split() == ["epoch", "loss", "held", "out", *LONG_NAMES, "mean", "F1", "time"]
    assert lines[2].split() == ["majority", "0.25", "0.25", "0.25"]
    assert [line.split()[0] for line in lines[3:]] == ["1/100", "2/100", "3/100"]
    assert [line.split()[-3] for line in lines[3:]] == ["0.400*", "0.600*", "0.500"]


def test_each_training_has_a_table_and_a_best_epoch_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = EpochTable(live=False)
    table.begin(None)
    table.add(epoch(1, 0.9), 1)  # a fold
    table.begin(None)
    table.add(epoch(1, 0.4), 2)
    lines = lines_of(capsys)
    assert sum(line.split()[0] == "epoch" for line in lines) == 2
    assert lines[-1].split()[-3] == "0.400*"


def test_a_resumed_training_knows_its_best_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    table = EpochTable(live=False)
    table.begin(epoch(3, 0.6))
    table.add(epoch(4, 0.5), 9)
    table.add(epoch(5, 0.7), 9)
    assert [line.split()[-3] for line in lines_of(capsys)[-2:]] == ["0.500", "0.700*"]


@pytest.mark.parametrize("of_width", [40, 80, 120], indirect=True)
def test_a_terminal_shows_the_best_epoch_and_the_time_that_is_left(
    of_width: SafeConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    table = EpochTable(live=True)
    for number, score in enumerate((0.4, 0.6, 0.5), 1):
        table.add(epoch(number, score), 5)
    table.stop()
    lines = lines_of(capsys)
    assert max(map(len, lines)) <= of_width.width
    assert " ".join(lines[-2:]).endswith("mean F1 0.600; 1:30 elapsed, at most 3:00 left")
    (best,) = [line for line in lines[-8:] if "*" in line and "/5" in line]
    assert best.split()[0] == "2/5"
    hidden = " ".join(lines)
    assert ("traits in metrics.jsonl alone" in hidden) is (of_width.width == 40)


def test_a_terminal_shows_how_far_the_first_epoch_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = SafeConsole(stderr=True, width=80, force_terminal=True)
    monkeypatch.setattr(epoch_table, "CONSOLE", terminal)
    table = EpochTable(live=True)
    table.begin(None)
    table.advance(1, 0, 1200)
    assert lines_of(capsys)[0] == "epoch 1: 0 of 1,200 batches done"
    table.advance(1, 1200, 1200)
    table.add(epoch(1, 0.4), 5)
    assert "batches" not in lines_of(capsys)[-1]
    table.advance(2, 3, 1200)
    table.stop()
    *_, of_epoch, status = lines_of(capsys)
    assert of_epoch == "epoch 2: 3 of 1,200 batches done"
    assert status.startswith("best: epoch 1, mean F1 0.400; ")


def test_a_log_gets_few_lines_on_a_long_epoch_and_none_on_a_short_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short, long = EpochTable(live=False), EpochTable(live=False, seconds_per_line=0)
    for table in (short, long):
        table.begin(None)
        for done in range(4):
            table.advance(1, done, 3)
    lines = [f"epoch 1: {done} of 3 batches done" for done in range(3)]
    assert lines_of(capsys) == lines  # those of `long`, until the epoch is done


def test_without_held_out_users_there_are_no_scores(capsys: pytest.CaptureFixture[str]) -> None:
    table = EpochTable(live=False)
    table.add(epoch(1, 0.0, ()), 2)
    heading, row = lines_of(capsys)
    assert heading.split() == ["epoch", "loss", "time"]
    assert row.split() == ["1/2", "4.500", "90.0", "s"]


def test_a_duration_is_shown_as_on_a_clock() -> None:
    assert [clock(seconds) for seconds in (0.2, 7, 750, 3723)] == [
        "0:00", "0:07", "12:30", "1:02:03",
    ]  # fmt: skip
