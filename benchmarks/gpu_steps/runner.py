"""Run steps one after the other, each within its time and in a process of its own.

A step that fails, crashes or hangs costs only itself. The file of a finished step is its result; a
second run with the same folder skips it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import click

from gpu_steps.work import SETTINGS, Finding, Step, Work, result_path

State = Literal["finished", "skipped", "failed", "not run"]

_TAIL_BYTES = 3000
"""Bytes at the end of a step's output that show why it failed."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step has ended.

    Attributes:
        state: `skipped` if it has nothing to do on this machine, `not run` if there was no time.
        seconds: The time that it took.
        findings: The lines of the table.
        figures: Every single figure.
        why: Why it did not finish.
    """

    state: State
    seconds: float = 0.0
    findings: Sequence[Finding] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the step has ended, and no goal was missed."""
        ended = self.state in ("finished", "skipped")
        return ended and all(each.holds is not False for each in self.findings)


def run_steps(steps: Sequence[Step], work: Work, minutes: float) -> dict[str, StepResult]:
    """Run the steps that are not finished yet, and return the results of all.

    Args:
        steps: The steps, in order.
        work: The folder of the results, and whether this is a dry run.
        minutes: The time for all of them; what does not fit is not run.

    Raises:
        ClickException: The folder has results of another kind of run.
    """
    _open_folder(work)
    end = time.monotonic() + 60 * minutes
    results = {}
    for step in steps:
        result = _read(step, work) or _run(step, work, end - time.monotonic())
        results[step.name] = result
        click.echo(f"{step.name}: {result.state}, {result.seconds:.0f} s", err=True)
        if result.why:
            click.echo(result.why, err=True)
    return results


def as_json(results: dict[str, StepResult]) -> dict[str, Any]:
    """Return results as JSON."""
    return {name: asdict(result) for name, result in results.items()}


def _open_folder(work: Work) -> None:
    work.folder.mkdir(parents=True, exist_ok=True)
    path, settings = work.folder / SETTINGS, {"dry": work.dry}
    if path.exists() and json.loads(path.read_text()) != settings:
        raise click.ClickException(
            f"{work.folder} has the results of a run {'without' if work.dry else 'with'} --dry; "
            "give another --output."
        )
    path.write_text(json.dumps(settings))


def _read(step: Step, work: Work) -> StepResult | None:
    """Return the result of a step that has finished."""
    path = result_path(work.folder, step.name)
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    skipped = data["skipped"]
    return StepResult(
        state="skipped" if skipped else "finished",
        seconds=data["seconds"],
        findings=tuple(Finding(**each) for each in data["findings"]),
        figures=data["figures"],
        why=skipped,
    )


def _run(step: Step, work: Work, seconds_left: float) -> StepResult:
    if seconds_left < step.least:
        return StepResult("not run", why=f"it needs {step.least:.0f} s, and there was no time left")
    log = work.folder / f"{step.name}.log"
    began = time.monotonic()
    code = _run_process(step, work, log, min(step.seconds, seconds_left))
    seconds = time.monotonic() - began
    if code == 0 and (result := _read(step, work)):
        return result
    how = f"ended with {code}" if code is not None else f"was ended after {seconds:.0f} s"
    return StepResult("failed", seconds, why=f"it {how}; the end of {log}:\n{_tail(log)}")


def _run_process(step: Step, work: Work, log: Path, seconds: float) -> int | None:
    """Run the process of a step, and end it with all that it started; None if it took too long."""
    command = [sys.executable, "-m", "gpu_steps", step.name, step.function, str(work.folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _tail(log: Path) -> str:
    return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip() or "(no output)"
