"""Shows the plan, the progress and the summary of `predict`, and what `embed` shows like it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TypeVar

from tweetprofile.cli.console import CONSOLE, images_beyond, make_bar
from tweetprofile.cli.flags import with_flags
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.job import EmbedderFacts, PredictorFacts
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.plan import PredictPlan
from tweetprofile.predicting.planning import CheckedRun, RunPlan
from tweetprofile.predicting.run import Progress
from tweetprofile.predicting.summary import PredictSummary
from tweetprofile.stages import Stage
from tweetprofile.workers.profiles import Status

_LINE_EVERY = 30.0
"""Seconds between progress lines if there is no terminal to draw a bar on."""

_BOUNDS = {
    Stage.MANIFEST: "reading the manifest",
    Stage.READ: "reading images",
    Stage.SCREEN: "screening images",
    Stage.DECODE: "decoding images",
    Stage.TEXTS: "counting n-grams",
    Stage.STACK: "stacking volumes",
    Stage.FORWARD: "the network",
    Stage.PROFILE: "making profiles",
    Stage.WRITE: "writing",
}
"""Names of the stages, for the one that takes most of the time of a run."""


EngineT = TypeVar("EngineT", bound=AbstractContextManager[object])


@contextmanager
def started(engine: EngineT, *, quiet: bool) -> Iterator[EngineT]:
    """Enter an engine; a terminal shows that it starts, which takes seconds."""
    with ExitStack() as stack:
        with nullcontext() if quiet else CONSOLE.waiting("starting workers ..."):
            stack.enter_context(engine)
        yield engine


def show_plan(plan: PredictPlan, engine: ShardEngine[PredictorFacts]) -> None:
    """Show what will be done in two lines, after remarks on how the manifest was read."""
    show_users(plan, plan.out)
    show_model(plan, engine)


def show_users(plan: CheckedRun, out: str) -> None:
    """Show whose images will be read, and where the rows go."""
    manifest = plan.manifest
    for remark in manifest.remarks:
        CONSOLE.print(with_flags(remark))
    CONSOLE.print(
        f"{count_of(plan.users, 'user')} of {manifest.source} (form: {manifest.form}; images under "
        f"{plan.image_root}) -> {out}",
    )


def show_model(plan: PredictPlan, engine: ShardEngine[PredictorFacts]) -> None:
    """Show the model, the run that trained it, and the devices; and what it does not look at."""
    facts = engine.facts
    for remark in plan.remarks(facts):
        CONSOLE.print(with_flags(remark))
    CONSOLE.print(
        f"{facts.network} from {plan.job.checkpoint} ({facts.origin}): "
        f"{', '.join(facts.schema.names)}; {how(engine)}",
    )


def how(engine: ShardEngine[PredictorFacts] | ShardEngine[EmbedderFacts]) -> str:
    """Return the devices, the precision, the decoder and the detail."""
    facts = engine.facts
    return (
        f"on {_devices(engine)}, {facts.precision}, decoder {facts.decoder}, detail {facts.detail}"
    )


def _devices(engine: ShardEngine[PredictorFacts] | ShardEngine[EmbedderFacts]) -> str:
    first = engine.facts.device
    workers = Counter(first if name == "auto" else name for name in engine.devices)
    return ", ".join(name if one == 1 else f"{name} x {one}" for name, one in workers.items())


def how_to_resume(plan: RunPlan[PredictorFacts] | RunPlan[EmbedderFacts]) -> str:
    """Return the message for an interrupted run of the plan."""
    destination = Destination.of(plan.out, plan.rows.kind)
    if not (kept := destination.kept_shards()):
        return "interrupted before the first shard was finished; run the command again."
    return (
        f"interrupted; {kept:,} of {count_of(plan.shards, 'shard')} "
        f"{one_or_many(kept, 'is', 'are')} kept in {destination.partial}: run the same command "
        "with --resume to continue."
    )


@contextmanager
def predict_progress(users: int, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show a bar on a terminal, or a line every 30 s elsewhere; nothing if quiet."""
    if quiet:
        yield lambda progress: None
    elif CONSOLE.is_animated:
        with make_bar() as bar:
            task = bar.add_task("users", total=users, below="")
            yield lambda progress: bar.update(
                task, completed=progress.counts.users, below=_rates(progress)
            )
    else:
        yield _line_reporter()


def show_summary(summary: PredictSummary) -> None:
    """Show the summary of a run in one line, after replaced workers and skipped images."""
    counts = summary.counts
    statuses = ", ".join(
        f"{counts.statuses[status]:,} {status}" for status in Status if status in counts.statuses
    )
    if deaths := len(summary.deaths):
        CONSOLE.print(
            f"{count_of(deaths, 'worker')} {one_or_many(deaths, 'was', 'were')} replaced: "
            f"{with_flags(_shorten(summary.deaths))}",
        )
    if counts.left_out:
        CONSOLE.print(f"{images_beyond(counts.left_out)}.")
    CONSOLE.print(
        f"{count_of(counts.users, 'user')} ({statuses or 'none'}), "
        f"{count_of(counts.images, 'image')}, "
        f"{counts.failed:,} failed, {_how_fast(summary)} -> {summary.out}",
    )


def _shorten(deaths: tuple[str, ...]) -> str:
    first = "; ".join(deaths[:3])
    return first + ("; ..." if len(deaths) > 3 else ".")


def _how_fast(summary: PredictSummary) -> str:
    users = summary.counts.users - summary.resumed.users
    if summary.resumed.users and not users:
        return "already complete"
    resumed = (
        f" after {summary.resumed.users:,} from an earlier run" if summary.resumed.users else ""
    )
    rate = _rate(summary.users_per_second)
    return f"in {summary.seconds:.1f} s ({rate} users/s{_bound(summary)}){resumed}"


def _bound(summary: PredictSummary) -> str:
    """Return the stage that takes longest and its share of the time: what a run is bound by."""
    times = summary.times
    if times.bound is None:
        return ""
    share = min(1.0, times.seconds[times.bound] / max(summary.seconds, 1e-9))
    return f"; bound by {_BOUNDS[times.bound]}: {share:.0%} of the time"


def _line_reporter() -> Callable[[Progress], None]:
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY:
            last = time.monotonic()
            done = f"{progress.counts.users:,} of {count_of(progress.users_total, 'user')}"
            CONSOLE.print(f"{done}, {_rates(progress)}")

    return report


def _rates(progress: Progress) -> str:
    counts, resumed, seconds = progress.counts, progress.resumed, progress.seconds
    return (
        f"{_per_second(counts.users - resumed.users, seconds)} users/s, "
        f"{_per_second(counts.images - resumed.images, seconds)} images/s, {counts.failed:,} failed"
    )


def _per_second(count: int, seconds: float) -> str:
    return _rate(count / max(seconds, 1e-9))


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"
