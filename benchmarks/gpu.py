"""Find out in ten minutes what a GPU does with tweetprofile: right results first, then speed.

    python benchmarks/gpu.py --output FOLDER

Every step runs in a process of its own, within its time, and leaves FOLDER/STEP.json; a step that
fails costs only itself. A second start with the same folder goes on with what is not finished. The
images are drawn, the networks untrained: nothing else is needed. `--dry` rehearses every step on a
CPU, with small sizes.
"""

import json
import os
import sys
from pathlib import Path

import click
import torch
from gpu_steps.runner import StepResult, as_json, run_steps
from gpu_steps.steps import STEPS
from gpu_steps.work import Work
from report import report

_COLUMNS = "150"
"""The width of the table where it is written to a file."""

_MARKS = {True: "yes", False: "NO", None: ""}


@click.command()
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the result of each step, and for some 6 GB of inputs.",
)
@click.option("--minutes", default=10.0, show_default=True, help="The time for all steps.")
@click.option("--dry", is_flag=True, help="Rehearse every step on a CPU, with small sizes.")
def main(output: Path, minutes: float, dry: bool) -> None:
    """Check and measure a GPU, step by step."""
    if not dry and not torch.cuda.is_available():
        raise click.ClickException("no CUDA device is usable; rehearse with --dry.")
    os.environ.setdefault("COLUMNS", _COLUMNS)
    results = run_steps(STEPS, Work(output.resolve(), dry), minutes)
    show(results, {"minutes": minutes, "dry": dry})
    path = output / "results.json"
    path.write_text(json.dumps(as_json(results), indent=1))
    if not all(result.is_good for result in results.values()):
        sys.exit(1)


def show(results: dict[str, StepResult], settings: dict[str, object]) -> None:
    """Print a line per finding, and one per step that has none."""
    rows: list[tuple[str, ...]] = []
    for name, result in results.items():
        if not result.findings:
            rows.append((name, result.why.partition("\n")[0], result.state, "", ""))
        for each in result.findings:
            rows.append((name, each.what, each.measured, each.goal, _MARKS[each.holds]))
    title = "a rehearsal on a CPU: no figure means anything" if settings["dry"] else "one GPU"
    columns = ("step", "what", "measured", "goal", "reached")
    report(title, columns, rows, {"settings": settings, "steps": as_json(results)})


if __name__ == "__main__":
    main()
