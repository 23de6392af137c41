"""The summary of a run: its counts, and where its time went, for people and for statistics."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import Inputs, check_file, is_earlier, real_path
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp
from tweetprofile.errors import OptionError, OutputError, WriteError
from tweetprofile.job import EmbedderFacts, PredictorFacts
from tweetprofile.predicting.destination import Destination
from tweetprofile.stages import Stage
from tweetprofile.workers.profiles import Counts


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Where the time of a run went.

    Several worker threads work side by side, and as many of them compute at the same time as there
    are compute slots. What all threads together spent in a stage is divided by that number. The
    stages and `idle` then add up to the seconds of the run, except for what happens at the same
    time: threads that wait for the disk, and the supervisor, which reads the manifest and writes.

    Attributes:
        seconds: The seconds per stage, without stages that were never entered.
        idle: The seconds in which there was nothing to compute.
    """

    seconds: Mapping[Stage, float] = field(default_factory=dict)
    idle: float = 0.0

    @classmethod
    def of(
        cls,
        *,
        workers: Mapping[Stage, float],
        compute_slots: int,
        supervisor: Mapping[Stage, float],
        seconds: float,
    ) -> "StageTimes":
        """Combine what the workers and the supervisor counted.

        Args:
            workers: The seconds per stage of all worker threads together.
            compute_slots: The number of threads that compute at the same time.
            supervisor: The seconds per stage of the supervisor.
            seconds: The seconds that the run took.
        """
        each = {stage: spent / max(1, compute_slots) for stage, spent in workers.items()}
        both = {stage: each.get(stage, 0.0) + supervisor.get(stage, 0.0) for stage in Stage}
        return cls(
            {stage: spent for stage, spent in both.items() if spent},
            max(0.0, seconds - sum(each.values())),
        )

    @property
    def bound(self) -> Stage | None:
        """The stage that took longest, and therefore limits the run; None if there was none."""
        return max(self.seconds, key=self.seconds.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """The summary of a finished run.

    Attributes:
        out: The output.
        counts: The numbers of users and images.
        seconds: The time from the first shard to the last byte, without the start of the workers.
        facts: The model or backbone, device and decoder that the workers used.
        resumed: The numbers of users and images that an earlier run had already finished.
        deaths: Sentences on how workers crashed or hung.
        times: Where the time went.
    """

    out: str
    counts: Counts
    seconds: float
    facts: PredictorFacts | EmbedderFacts
    resumed: Counts = field(default_factory=Counts)
    deaths: tuple[str, ...] = ()
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def users_per_second(self) -> float:
        """The users per second among those that this run processed itself."""
        return (self.counts.users - self.resumed.users) / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON."""
        facts = self.facts
        return {
            "out": self.out,
            **asdict(self.counts),
            "resumed_users": self.resumed.users,
            "seconds": round(self.seconds, 3),
            "users_per_second": round(self.users_per_second, 3),
            "seconds_by_stage": {
                **{stage.value: round(spent, 3) for stage, spent in self.times.seconds.items()},
                "idle": round(self.times.idle, 3),
            },
            "bound": self.times.bound,
            "deaths": self.deaths,
            **_model(facts),
            "device": facts.device,
            "decoder": facts.decoder,
            "detail": facts.detail,
            "precision": facts.precision,
            "batch_size": facts.batch_size,
        }


def _model(facts: PredictorFacts | EmbedderFacts) -> dict[str, str]:
    if isinstance(facts, PredictorFacts):
        return {"network": facts.network}
    return {"backbone": facts.backbone}


def check_stats(path: Path, destination: Destination, inputs: Inputs, *, overwrite: bool) -> None:
    """Refuse a file for statistics that cannot or must not be written.

    Args:
        path: The file.
        destination: The destination of the output.
        inputs: The files that the run reads.
        overwrite: Whether earlier statistics may be replaced.

    Raises:
        OptionError: The file must not be written.
    """
    if not path.parent.is_dir():
        raise OptionError(
            f"`stats` {path}: the folder {path.parent} does not exist; make it first."
        )
    claimed = [each for each in destination.claimed if isinstance(each, Path)]
    if any(map(real_path(path).is_relative_to, claimed)):
        raise OptionError(f"`stats` {path} is where the output is written; give another name.")
    try:
        check_file(path, Kind.STATISTICS, inputs, overwrite=overwrite, shown_as=f"`stats` {path}")
    except OutputError as error:
        raise OptionError(str(error)) from None


def write_stats(path: Path, summary: PredictSummary, *, overwrite: bool = False) -> None:
    """Write the summary of a run as JSON.

    Args:
        path: The file to write.
        summary: The summary.
        overwrite: Whether earlier statistics may be replaced.

    Raises:
        WriteError: The file cannot be written.
    """
    fields = {METADATA_KEY: stamp(Kind.STATISTICS), **summary.to_dict()}
    data = (json.dumps(fields, indent=2) + "\n").encode()
    try:
        write_atomically(real_path(path), data, is_earlier(Kind.STATISTICS, overwrite=overwrite))
    except OSError as error:
        raise WriteError(
            f"{summary.out} is complete, but `stats` {path} cannot be written: {error.strerror}."
        ) from error
