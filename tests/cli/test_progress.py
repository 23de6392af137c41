"""Without a terminal, progress is a line now and then; quiet is quiet."""

import pytest

from tweetprofile.cli import predict_view
from tweetprofile.job import PredictorFacts
from tweetprofile.predicting.run import Progress
from tweetprofile.predicting.summary import PredictSummary, StageTimes
from tweetprofile.stages import Stage
from tweetprofile.traits import PRESETS
from tweetprofile.workers.profiles import Counts

HALF = Progress(Counts(users=500, images=5_500, failed=7), users_total=1_000, seconds=10.0)

FACTS = PredictorFacts(
    checkpoint_sha256="",
    network="model1",
    schema=PRESETS["mex-a3t-2019"],
    volume={},
    device="cpu",
    decoder="pillow",
    precision="bf16",
    batch_size=2,
    cuda_devices=0,
)


def test_a_line_says_how_far_how_fast_and_how_many_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict_view, "_LINE_EVERY", 0.0)
    with predict_view.predict_progress(1_000, quiet=False) as report:
        report(HALF)
    line = "500 of 1,000 users, 50.0 users/s, 550 images/s, 7 failed\n"
    assert capsys.readouterr().err == line


def test_lines_do_not_come_faster_than_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with predict_view.predict_progress(1_000, quiet=False) as report:
        report(HALF)
    assert capsys.readouterr().err == ""


def test_what_a_user_is_called_is_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    deaths = ("the worker on cpu was killed by SIGSEGV, of user [/bold][red]",)
    predict_view.show_summary(PredictSummary("out", HALF.counts, 10.0, FACTS, deaths=deaths))
    assert "of user [/bold][red]" in capsys.readouterr().err


def test_the_last_line_says_what_bounds_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    times = StageTimes({Stage.DECODE: 7.1, Stage.FORWARD: 2.5}, idle=0.4)
    predict_view.show_summary(PredictSummary("out", HALF.counts, 10.0, FACTS, times=times))
    line = capsys.readouterr().err
    assert "in 10.0 s (50.0 users/s; bound by decoding images: 71% of the time) -> out" in line


def test_quiet_reports_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict_view, "_LINE_EVERY", 0.0)
    with predict_view.predict_progress(1_000, quiet=True) as report:
        report(HALF)
    assert capsys.readouterr().err == ""
