"""The file of a run that gets a line an epoch."""

import json
from dataclasses import asdict
from pathlib import Path

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.scoring.epochs import METRICS, EpochMetrics, epoch_of
from tweetprofile.training.writing import writing
from tweetprofile.untrusted.fields import finite


def append_metrics(folder: Path, metrics: EpochMetrics) -> None:
    """Write the line of an epoch.

    Raises:
        WriteError: the disk is full, say.
    """
    path = folder / METRICS
    with writing(path), path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(finite(asdict(metrics))) + "\n")


def cut_metrics(folder: Path, done: int) -> None:
    """Leave the lines up to an epoch: a run may be killed between a line and its state.

    What is left stands in a new file, so that no other name of the old one is written to.

    Raises:
        WriteError: the disk is full, say.
    """
    path = folder / METRICS
    with writing(path):
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        lines = text.splitlines(True)
        kept = [line for line in lines if line.endswith("\n") and epoch_of(line) <= done]
        if kept:
            write_atomically(path, "".join(kept).encode(), is_earlier(Kind.METRICS))
        else:
            path.unlink(missing_ok=True)
