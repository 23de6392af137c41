"""What a step is given, and what it finds out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

SETTINGS = "settings.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: The name of the step and of its file.
        function: The function that does it, as `module:name`; it takes a `Work` and returns an
            `Outcome`.
        seconds: The time after which it is ended.
        least: The time without which it is not worth starting.
    """

    name: str
    function: str
    seconds: float
    least: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    Attributes:
        what: What was measured or checked.
        measured: The result.
        goal: What the result should be, if there is a goal.
        holds: Whether the goal is reached; None if there is none, or if this machine cannot tell.
    """

    what: str
    measured: str
    goal: str = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step has found out.

    Attributes:
        findings: The lines of the table.
        figures: Every single figure, as JSON.
        skipped: The reason why the step has nothing to do on this machine.
    """

    findings: Sequence[Finding] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a step is given.

    Attributes:
        folder: The folder of all results and inputs.
        dry: Whether this is a rehearsal on a CPU with small sizes.
    """

    folder: Path
    dry: bool

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the settings that the runner has written to the folder."""
        return cls(folder, **json.loads((folder / SETTINGS).read_text()))

    @property
    def device(self) -> str:
        """The device to measure, as options name it."""
        return "cpu" if self.dry else "cuda:0"

    @property
    def inputs(self) -> Path:
        """The folder of the drawn images and what was made of them."""
        return self.folder / "inputs"

    def size(self, usual: T, small: T) -> T:
        """Return a size: the usual one, or that of a dry run."""
        return small if self.dry else usual

    def speed_goal(self, reached: bool) -> bool | None:
        """Return whether a goal of speed is reached; a dry run cannot tell."""
        return None if self.dry else reached

    def figures(self, step: str) -> dict[str, Any]:
        """Return the figures of an earlier step; none if it has not finished."""
        path = result_path(self.folder, step)
        if not path.exists():
            return {}
        figures: dict[str, Any] = json.loads(path.read_text())["figures"]
        return figures


def result_path(folder: Path, step: str) -> Path:
    """Return the file of a finished step."""
    return folder / f"{step}.json"


def write_outcome(path: Path, outcome: Outcome, seconds: float) -> None:
    """Write the file of a finished step; an interruption leaves none."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"seconds": seconds, **asdict(outcome)}, indent=1))
    unfinished.replace(path)
