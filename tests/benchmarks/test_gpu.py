"""The benchmark of a GPU loses no result: each step runs, fails and is resumed by itself."""

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import torch
from gpu_steps.runner import StepResult, run_steps
from gpu_steps.steps import STEPS
from gpu_steps.work import Step, Work

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def step(function: str, seconds: float = 30) -> Step:
    return Step(function, f"tests.benchmarks.small_steps:{function}", seconds, least=1)


def run(folder: Path, *steps: Step, minutes: float = 1) -> dict[str, StepResult]:
    return run_steps(steps, Work(folder, dry=True), minutes)


def test_a_step_leaves_its_figures_for_later_ones(tmp_path: Path) -> None:
    results = run(tmp_path, step("count"), step("read_count"))
    assert [result.state for result in results.values()] == ["finished", "finished"]
    assert results["read_count"].findings[0].measured == "1"
    assert json.loads((tmp_path / "count.json").read_text())["figures"] == {"runs": 1}


def test_a_second_start_skips_what_is_finished_and_gives_the_same_results(tmp_path: Path) -> None:
    first = run(tmp_path, step("count"), step("skip"))
    assert first["skip"].state == "skipped"
    assert first["skip"].why == "there is no such thing here"
    assert run(tmp_path, step("count"), step("skip")) == first
    assert (tmp_path / "runs").read_text() == "1"


def test_a_step_that_fails_or_crashes_costs_only_itself_and_is_tried_again(tmp_path: Path) -> None:
    results = run(tmp_path, step("fail"), step("crash"), step("count"))
    assert [result.state for result in results.values()] == ["failed", "failed", "finished"]
    assert results["fail"].why.endswith("ValueError: the decoder is broken")
    assert "ended with -11" in results["crash"].why
    assert not results["fail"].is_good
    again = Step("fail", step("count").function, 30, least=1)  # it has been mended
    assert run(tmp_path, again)["fail"].state == "finished"


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    results = run(tmp_path, step("hang", seconds=2), step("count"))
    assert results["hang"].state == "failed"
    assert "was ended after 2 s" in results["hang"].why
    assert results["hang"].why.endswith("waiting")
    assert results["count"].state == "finished"
    child = Path("/proc") / (tmp_path / "child").read_text()
    for _ in range(100):
        if not child.exists() or "(zombie)" in (child / "status").read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("the process that the step had started still runs")


def test_what_there_is_no_time_for_is_named_and_run_by_the_next_start(tmp_path: Path) -> None:
    results = run(tmp_path, step("hang", seconds=60), step("count"), minutes=2 / 60)
    assert 1 < results["hang"].seconds < 10, "a step gets no more than what is left"
    assert (results["count"].state, results["count"].findings) == ("not run", ())
    assert "no time left" in results["count"].why
    assert run(tmp_path, step("count"))["count"].state == "finished"


def test_a_goal_that_is_missed_is_no_good_result(tmp_path: Path) -> None:
    assert not run(tmp_path, step("miss"))["miss"].is_good


def test_a_folder_with_the_results_of_a_dry_run_is_refused_for_a_real_one(tmp_path: Path) -> None:
    run(tmp_path, step("count"))
    with pytest.raises(click.ClickException, match=r"results of a run with --dry; give another"):
        run_steps([step("count")], Work(tmp_path, dry=False), 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_without_a_gpu_only_a_dry_run_is_possible(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--output", str(tmp_path / "gpu")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no CUDA device is usable; rehearse with --dry" in ended.stderr
    assert not (tmp_path / "gpu").exists()


@pytest.mark.slow
def test_the_dry_run_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--dry", "--output", str(tmp_path / "gpu")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = json.loads(ended.stdout.splitlines()[-1])["steps"]
    assert list(results) == [each.name for each in STEPS]
    assert {result["state"] for result in results.values()} == {"finished"}
    assert json.loads((tmp_path / "gpu" / "results.json").read_text()) == results
