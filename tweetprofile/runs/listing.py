"""Lists the runs below a folder, sorted by their scores or by what they are."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from tweetprofile.errors import OptionError
from tweetprofile.runs.finding import LeftOut, Search
from tweetprofile.runs.reading import Measure, Run, read_run
from tweetprofile.untrusted.fields import finite
from tweetprofile.untrusted.text import printable

_KEYS: dict[str, Callable[[Run], Any]] = {
    "name": lambda run: str(run.folder),
    "date": lambda run: run.date,
    "users": lambda run: run.users,
}
"""What runs can be sorted by besides their scores."""

_ASCENDING = ("name",)

MEAN = "mean"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How to list runs.

    Attributes:
        sort: What to sort by: `mean` (of the traits' scores), `name`, `date`, `users` or a trait.
            Names go from A to Z, and everything else from the highest or newest down.
        score: The score of a trait: `macro-f1` or `accuracy`.
        depth: The number of levels of folders to search.

    Raises:
        OptionError: There is no such score.
    """

    sort: str = MEAN
    score: Measure = "macro-f1"
    depth: int = 4

    def __post_init__(self) -> None:
        if self.score not in get_args(Measure):
            raise OptionError(f"`score` is '{self.score}'; give one of {get_args(Measure)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """The runs below a folder.

    Attributes:
        folder: The folder that was searched.
        options: How the runs are listed.
        runs: The runs, sorted.
        left_out: What was not looked into.
    """

    folder: Path
    options: ListOptions
    runs: Sequence[Run]
    left_out: LeftOut

    @property
    def traits(self) -> list[str]:
        """The traits of all runs, those of the most runs first."""
        return [
            name
            for name, _ in Counter(each for run in self.runs for each in run.scores).most_common()
        ]

    @property
    def same_held_out(self) -> bool:
        """Whether all runs with scores held out the same users, as far as that is known."""
        return len({run.held_out for run in self.runs if run.scores and run.held_out}) <= 1

    def name_of(self, run: Run) -> str:
        """Return the path of a run within the folder; the folder itself has its own name."""
        if run.folder == self.folder:
            return self.folder.absolute().name or str(self.folder)
        return run.folder.relative_to(self.folder).as_posix()

    def to_dict(self) -> dict[str, Any]:
        """Return the list as JSON; what is unknown is null."""
        return {
            "folder": str(self.folder),
            "runs": [self._facts(run) for run in self.runs],
            "left_out": asdict(self.left_out),
        }

    def _facts(self, run: Run) -> dict[str, Any]:
        means = {measure.replace("-", "_"): run.mean(measure) for measure in get_args(Measure)}
        facts = {"name": self.name_of(run), **asdict(run), "folder": str(run.folder), "mean": means}
        del facts["held_out"]
        return dict(finite(facts))


def list_runs(folder: Path, options: ListOptions | None = None) -> RunList:
    """List the runs of `train` in a folder and below it.

    Args:
        folder: The folder to search, which may be a run folder itself.
        options: How to list the runs.

    Raises:
        OptionError: The folder is not one, or no run has what to sort by.
    """
    options = options or ListOptions()
    search = Search(folder, options.depth)
    runs = [read_run(each) for each in search.run()]
    listed = RunList(folder=folder, options=options, runs=runs, left_out=search.left_out)
    key = _key(listed)
    known = sorted(
        (run for run in runs if key(run) is not None),
        key=key,
        reverse=options.sort not in _ASCENDING,
    )
    unknown = [run for run in runs if key(run) is None]
    return RunList(
        folder=folder, options=options, runs=[*known, *unknown], left_out=search.left_out
    )


def _key(listed: RunList) -> Callable[[Run], Any]:
    """Return what to sort by.

    Raises:
        OptionError: It is neither a column nor a trait.
    """
    sort, score = listed.options.sort, listed.options.score
    if sort == MEAN:
        return lambda run: run.mean(score)
    if sort in _KEYS:
        return _KEYS[sort]
    if not listed.runs or sort in listed.traits:
        return lambda run: run.score(sort, score)
    known = ", ".join([MEAN, *_KEYS, *map(printable, listed.traits)])
    raise OptionError(f"`sort` is '{printable(sort)}', which no run has; give one of {known}.")
