"""Without a terminal, progress is an occasional line; --quiet shows none."""

import pytest

from tests.facts import predictor_facts
from tweetprofile.cli import predict_view
from tweetprofile.predicting.run import Progress
from tweetprofile.predicting.summary import PredictSummary, StageTimes
from tweetprofile.stages import Stage
from tweetprofile.workers.profiles import Counts

HALF = Progress(Counts(users=500, images=5_500, failed=7), users_total=1_000, seconds=10.0)

FACTS = predictor_facts()


def test_a_progress_line_shows_users_rates_and_failed_images(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict_view, "_LINE_EVERY", 0.0)
    with predict_view.predict_progress(1_000, quiet=False) as report:
        report(HALF)
    line = "500 of 1,000 users, 50.0 users/s, 550 images/s, 7 failed\n"
    assert capsys.readouterr().err == line


def test_progress_lines_are_30_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with predict_view.predict_progress(1_000, quiet=False) as report:
        report(HALF)
    assert capsys.readouterr().err == ""


def test_user_ids_are_shown_as_text_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    deaths = ("the worker on cpu was killed by SIGSEGV, of user [/bold][red]",)
    predict_view.show_summary(PredictSummary("out", HALF.counts, 10.0, FACTS, deaths=deaths))
    assert "of user [/bold][red]" in capsys.readouterr().err


def test_the_last_line_shows_what_the_run_is_bound_by(capsys: pytest.CaptureFixture[str]) -> None:
    times = StageTimes({Stage.DECODE: 7.1, Stage.FORWARD: 2.5}, idle=0.4)
    predict_view.show_summary(PredictSummary("out", HALF.counts, 10.0, FACTS, times=times))
    line = capsys.readouterr().err
    assert "in 10.0 s (50.0 users/s; bound by decoding images: 71% of the time) -> out" in line


def test_quiet_shows_no_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict_view, "_LINE_EVERY", 0.0)
    with predict_view.predict_progress(1_000, quiet=True) as report:
        report(HALF)
    assert capsys.readouterr().err == ""
