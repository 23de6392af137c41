"""Shows a list of runs for `runs`, as a table that fits the terminal."""

from tweetprofile.cli import console
from tweetprofile.cli.columns import Column, fit
from tweetprofile.cli.console import CONSOLE, OUTPUT
from tweetprofile.plurals import count_of
from tweetprofile.runs.finding import LeftOut
from tweetprofile.runs.listing import RunList
from tweetprofile.runs.reading import Run, RunStatus

_LEAST_NAME, _LEAST_MODEL, _LEAST_TRAIT = 14, 10, 6
"""Widths below which a column is not cut."""

_FIRST_TRAITS = 3
"""The traits that stay longest on a narrow terminal; others go before anything else does."""

_NAMES_SHOWN = 5

_RESUME = "; repeat its command with --resume to continue it"

_STYLES = {RunStatus.FINISHED: "", RunStatus.UNFINISHED: "yellow", RunStatus.DAMAGED: "red"}


def print_json(listed: RunList) -> None:
    """Print the list as JSON to stdout."""
    console.print_json(listed.to_dict())


def show_runs(listed: RunList) -> None:
    """Print the list as a table to stdout, and below it what is wrong with runs."""
    if not listed.runs:
        CONSOLE.print(f"there are no runs in {listed.folder}; 'tweetprofile train' makes one.")
        return
    fitted = fit(_columns(listed), OUTPUT)
    heading, *rows = fitted.lines()
    _say(heading, "dim")
    for run, row in zip(listed.runs, rows, strict=True):
        _say(row, _STYLES[run.status])
    score = {"macro-f1": "macro-F1", "accuracy": "accuracy"}[listed.options.score]
    _say(f"{score} on the held-out users of each run; mean is that of its traits", "dim")
    if hidden := fitted.left_out:
        more = f" and {len(hidden) - _NAMES_SHOWN} more" * (len(hidden) > _NAMES_SHOWN)
        _say(f"no room for {', '.join(hidden[:_NAMES_SHOWN])}{more}; --json has all", "dim")
    if not listed.same_held_out:
        _say(
            "The runs held out different users, so small differences mean little: evaluate the "
            "models on the same users with 'tweetprofile evaluate'.",
            "yellow",
        )
    for run in listed.runs:
        if run.reason is not None:
            advice = _RESUME if run.status is RunStatus.UNFINISHED else ""
            _say(f"{listed.name_of(run)} is {run.status}: {run.reason}{advice}")


def show_left_out(left_out: LeftOut) -> None:
    """Show on stderr what was not searched, which may hold further runs."""
    for count, what, why in (
        (left_out.too_deep, "folder", "below the deepest level (--depth)"),
        (left_out.links, "link", "to other folders"),
        (left_out.unreadable, "folder", "that cannot be read"),
    ):
        if count:
            CONSOLE.print(f"not searched: {count_of(count, what)} {why}")
    if left_out.foreign:
        folders = count_of(left_out.foreign, "folder")
        CONSOLE.print(
            f"left out: {folders} with a model.safetensors that tweetprofile did not write"
        )
    if left_out.stopped:
        CONSOLE.warn("there are too many files to search; name a subfolder")


def _columns(listed: RunList) -> list[Column]:
    """Return all columns, uncut."""
    runs, score = listed.runs, listed.options.score
    names = [OUTPUT.printable(listed.name_of(run)) for run in runs]
    models = ["" if run.model is None else OUTPUT.printable(run.model) for run in runs]
    users = ["" if run.users is None else f"{run.users:,}" for run in runs]
    dates, epochs = [_finished(run) for run in runs], [_epochs(run) for run in runs]
    first, last = _FIRST_TRAITS + 1, _FIRST_TRAITS + 3
    means = [_shown(run.mean(score), ".3f") for run in runs]
    errors = [_shown(run.mean_calibration_error, ".3f") for run in runs]
    return [
        Column(heading="run", cells=names, least=_LEAST_NAME, numbers=False),
        Column(heading="finished", cells=dates, numbers=False, goes=first),
        Column(heading="model", cells=models, least=_LEAST_MODEL, numbers=False),
        Column(heading="users", cells=users, goes=last),
        Column(heading="epoch", cells=epochs, goes=last - 1),
        *(_trait(listed, name, place) for place, name in enumerate(listed.traits, 1)),
        Column(heading="mean", cells=means),
        Column(heading="calib. error", cells=errors, spare=True),
    ]


def _trait(listed: RunList, name: str, place: int) -> Column:
    cells = [_shown(run.score(name, listed.options.score), ".2f") for run in listed.runs]
    heading = OUTPUT.printable(name)
    goes = place if place <= _FIRST_TRAITS else _FIRST_TRAITS + 3 + place
    return Column(heading=heading, cells=cells, least=_LEAST_TRAIT, goes=goes)


def _finished(run: Run) -> str:
    """Return the day on which a run finished, or that it did not."""
    if run.status is not RunStatus.FINISHED:
        return run.status
    return OUTPUT.printable((run.date or "")[:10])


def _epochs(run: Run) -> str:
    """Return the epoch that was kept of how many, or that a model of texts has none."""
    if run.reads_texts_alone:
        return "texts"
    most = "" if run.epochs is None else str(run.epochs)
    return f"{run.kept_epochs[0]}/{most}" if len(run.kept_epochs) == 1 else most


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _say(text: str, style: str = "") -> None:
    OUTPUT.print(OUTPUT.text(text, style))
