"""What `predict` shows: the plan, progress, and what the run came to."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tweetprofile.cli.console import CONSOLE, make_bar
from tweetprofile.predict import PredictPlan, PredictSummary, Progress
from tweetprofile.profiles import Status

_LINE_EVERY = 30.0
"""Seconds between progress lines where there is no terminal to draw a bar on."""


def show_plan(plan: PredictPlan) -> None:
    """Say what will be done, in two lines."""
    manifest, checkpoint, predictor = plan.manifest, plan.checkpoint, plan.predictor
    CONSOLE.print(
        f"{plan.users:,} users of {manifest.source} (form: {manifest.form}; images under "
        f"{plan.image_root}) -> {plan.out}",
        markup=False,
    )
    CONSOLE.print(
        f"{checkpoint.network_spec.name} from {checkpoint.path}: "
        f"{', '.join(checkpoint.schema.names)}; on {predictor.device}, {predictor.precision}, "
        f"decoder {predictor.decoder}",
        markup=False,
    )


@contextmanager
def predict_progress(users: int, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, a line every 30 s elsewhere, nothing where quiet."""
    if quiet:
        yield lambda progress: None
    elif CONSOLE.is_terminal:
        with make_bar("{task.fields[rates]}") as bar:
            task = bar.add_task("users", total=users, rates="")
            yield lambda progress: bar.update(
                task, completed=progress.counts.users, rates=_rates(progress)
            )
    else:
        yield _line_reporter()


def show_summary(summary: PredictSummary) -> None:
    """Say what the run came to, in one line."""
    counts = summary.counts
    statuses = ", ".join(
        f"{counts.statuses[status]:,} {status}" for status in Status if status in counts.statuses
    )
    CONSOLE.print(
        f"{counts.users:,} users ({statuses or 'none'}), {counts.images:,} images, "
        f"{counts.failed:,} failed, in {summary.seconds:.1f} s "
        f"({_per_second(counts.users, summary.seconds)} users/s) -> {summary.out}",
        markup=False,
    )
    if counts.images and counts.failed == counts.images:
        CONSOLE.print(
            "No image was usable; see the reasons in image_errors. If they are 'missing', paths "
            "are not relative to the manifest's folder: give --image-root.",
        )


def _line_reporter() -> Callable[[Progress], None]:
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY:
            last = time.monotonic()
            done = f"{progress.counts.users:,} of {progress.users_total:,} users"
            CONSOLE.print(f"{done}, {_rates(progress)}", markup=False)

    return report


def _rates(progress: Progress) -> str:
    counts, seconds = progress.counts, progress.seconds
    return (
        f"{_per_second(counts.users, seconds)} users/s, "
        f"{_per_second(counts.images, seconds)} images/s, {counts.failed:,} failed"
    )


def _per_second(count: int, seconds: float) -> str:
    rate = count / max(seconds, 1e-9)
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"
