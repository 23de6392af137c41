"""The summary of a run: counts, seconds per stage, and the stage that limits it."""

import json
from pathlib import Path

import pytest

from tests.facts import predictor_facts
from tweetprofile.data.files.protection import Inputs
from tweetprofile.errors import OptionError, WriteError
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.summary import PredictSummary, StageTimes, check_stats, write_stats
from tweetprofile.stages import Stage
from tweetprofile.workers.profiles import Counts

FACTS = predictor_facts()


def destination(folder: Path) -> Destination:
    return Destination.of(str(folder / "out.parquet"))


def test_the_stages_of_all_worker_threads_and_idle_time_add_up_to_the_run() -> None:
    workers = {Stage.DECODE: 24.0, Stage.FORWARD: 12.0}
    times = StageTimes.of(
        workers=workers, compute_slots=4, supervisor={Stage.WRITE: 0.5}, seconds=10.0
    )
    assert times.seconds == {Stage.DECODE: 6.0, Stage.FORWARD: 3.0, Stage.WRITE: 0.5}
    assert times.idle == 1.0
    assert times.bound is Stage.DECODE


def test_a_slow_disk_for_the_output_limits_a_run_whose_workers_wait() -> None:
    workers = {Stage.DECODE: 4.0, Stage.FORWARD: 2.0}
    times = StageTimes.of(
        workers=workers, compute_slots=4, supervisor={Stage.WRITE: 9.0}, seconds=10.0
    )
    assert times.bound is Stage.WRITE


def test_a_run_that_had_nothing_to_do_is_limited_by_no_stage() -> None:
    assert StageTimes.of(workers={}, compute_slots=4, supervisor={}, seconds=0.0).bound is None


def test_the_speed_of_a_resumed_run_counts_only_its_own_users() -> None:
    summary = PredictSummary("out", Counts(users=300), 4.0, FACTS, resumed=Counts(users=100))
    assert summary.users_per_second == 50.0


def test_statistics_are_json_with_everything_that_decides_the_speed(tmp_path: Path) -> None:
    counts = Counts(users=40, images=440, failed=3, statuses={"ok": 37, "partial": 3})
    times = StageTimes({Stage.DECODE: 1.5, Stage.FORWARD: 0.25}, idle=0.25)
    write_stats(tmp_path / "stats.json", PredictSummary("out", counts, 2.0, FACTS, times=times))
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["users"], stats["images"], stats["failed"]) == (40, 440, 3)
    assert (stats["seconds"], stats["users_per_second"]) == (2.0, 20.0)
    assert stats["seconds_by_stage"] == {"decode": 1.5, "forward": 0.25, "idle": 0.25}
    assert stats["bound"] == "decode"
    assert (stats["decoder"], stats["precision"], stats["batch_size"]) == ("pillow", "bf16", 2)
    assert stats["detail"] == "frame"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no/such/folder.json", "does not exist; make it first"),
        ("there.json", "exists and is not a file of statistics that tweetprofile wrote"),
        ("out.parquet", "is where the output is written; give another name"),
        ("out.parquet.partial/stats.json", "does not exist; make it first"),
        (".", "is a folder where a file is to be written"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_for_statistics_is_checked_before_the_run(
    tmp_path: Path, name: str, complaint: str, *, overwrite: bool
) -> None:
    (tmp_path / "there.json").write_text("precious")
    with pytest.raises(OptionError, match=complaint):
        check_stats(tmp_path / name, destination(tmp_path), Inputs(), overwrite=overwrite)


def test_only_earlier_statistics_are_replaced_and_only_if_they_may_be_overwritten(
    tmp_path: Path,
) -> None:
    path, summary = tmp_path / "stats.json", PredictSummary("out", Counts(), 1.0, FACTS)
    write_stats(path, summary)
    with pytest.raises(OptionError, match="exists; choose another name or pass `overwrite=True`"):
        check_stats(path, destination(tmp_path), Inputs(), overwrite=False)
    check_stats(path, destination(tmp_path), Inputs(), overwrite=True)
    write_stats(path, summary, overwrite=True)
    path.write_text("precious by now")
    with pytest.raises(WriteError, match="something else has taken this name in the meantime"):
        write_stats(path, summary, overwrite=True)
    assert path.read_text() == "precious by now"


def test_the_error_for_unwritable_statistics_says_that_the_output_is_complete(
    tmp_path: Path,
) -> None:
    summary = PredictSummary("out.parquet", Counts(), 1.0, FACTS)
    with pytest.raises(WriteError, match=r"out\.parquet is complete, but `stats` .* cannot"):
        write_stats(tmp_path / "gone" / "stats.json", summary)
