"""What a run came to: counts, and where its time went, for people and for `--stats`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import Inputs, check_file, is_earlier, real_path
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp
from tweetprofile.errors import OptionError, OutputError, WriteError
from tweetprofile.job import PredictorFacts
from tweetprofile.predicting.destination import Destination, claimed
from tweetprofile.stages import Stage
from tweetprofile.workers.profiles import Counts


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Where the time of a run went.

    Workers work in lanes, side by side, of which so many compute at a time. What all lanes together
    spent in a stage is divided by that number, so that the stages and `idle` add up to the seconds
    that the run took, but for what happens beside: the lanes that wait for the disk, and, in the
    supervising process, reading the manifest and writing.

    Attributes:
        seconds: by stage; those never entered are missing.
        idle: seconds in which there was nothing to compute.
    """

    seconds: Mapping[Stage, float] = field(default_factory=dict)
    idle: float = 0.0

    @classmethod
    def of(
        cls,
        in_lanes: Mapping[Stage, float],
        turns: int,
        beside: Mapping[Stage, float],
        seconds: float,
    ) -> "StageTimes":
        """Bring together what was counted.

        Args:
            in_lanes: seconds by stage of all lanes together.
            turns: how many compute at a time.
            beside: seconds by stage of the supervising process.
            seconds: that the run took.
        """
        each = {stage: spent / max(1, turns) for stage, spent in in_lanes.items()}
        both = {stage: each.get(stage, 0.0) + beside.get(stage, 0.0) for stage in Stage}
        return cls(
            {stage: spent for stage, spent in both.items() if spent},
            max(0.0, seconds - sum(each.values())),
        )

    @property
    def bound(self) -> Stage | None:
        """The stage that took longest, of which a faster run needs more; None if there was none."""
        return max(self.seconds, key=self.seconds.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """What a finished run came to.

    Attributes:
        out: what was written.
        counts: users and images.
        seconds: from the first shard to the last byte, without starting the workers.
        facts: what predicted.
        resumed: how much an earlier run had done.
        deaths: how workers died, in words.
        times: where the time went.
    """

    out: str
    counts: Counts
    seconds: float
    facts: PredictorFacts
    resumed: Counts = field(default_factory=Counts)
    deaths: tuple[str, ...] = ()
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def users_per_second(self) -> float:
        """Of the users that this run predicted itself."""
        return (self.counts.users - self.resumed.users) / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON."""
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
            "network": facts.network,
            "device": facts.device,
            "decoder": facts.decoder,
            "precision": facts.precision,
            "batch_size": facts.batch_size,
        }


def check_stats(path: Path, out: Destination, inputs: Inputs, *, overwrite: bool) -> None:
    """Refuse a place for statistics where they could not be written, or something else stands.

    Args:
        path: of the statistics.
        out: where the run writes its profiles.
        inputs: what the run reads.
        overwrite: whether earlier statistics may be replaced.

    Raises:
        OptionError: says which.
    """
    if not path.parent.is_dir():
        raise OptionError(f"--stats {path}: there is no folder {path.parent}; make it first.")
    if any(real_path(path).is_relative_to(each) for each in claimed(out) if isinstance(each, Path)):
        raise OptionError(f"--stats {path} is where the profiles are written; give another name.")
    try:
        check_file(path, Kind.STATISTICS, inputs, overwrite=overwrite, shown_as=f"--stats {path}")
    except OutputError as error:
        raise OptionError(str(error)) from None


def write_stats(path: Path, summary: PredictSummary, *, overwrite: bool = False) -> None:
    """Write a run's summary as JSON.

    Args:
        path: where to.
        summary: what to write.
        overwrite: whether earlier statistics may be replaced.

    Raises:
        WriteError: it could not be written.
    """
    fields = {METADATA_KEY: stamp(Kind.STATISTICS), **summary.to_dict()}
    data = (json.dumps(fields, indent=2) + "\n").encode()
    try:
        write_atomically(real_path(path), data, is_earlier(Kind.STATISTICS, overwrite=overwrite))
    except OSError as error:
        raise WriteError(
            f"{summary.out} is complete, but --stats {path} cannot be written: {error.strerror}."
        ) from error
